// Memory that several frameworks share. Written from general knowledge of Apple's public documentation, since
// the facts files describe Metal and MPS only.
#pragma once

typedef struct __IOSurface *IOSurfaceRef;
