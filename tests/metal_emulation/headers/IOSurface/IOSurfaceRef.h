// Memory that several frameworks share. Written from general knowledge of Apple's public documentation, since
// apple_api.py has data about Metal and MPS only.
#pragma once

typedef struct __IOSurface *IOSurfaceRef;
