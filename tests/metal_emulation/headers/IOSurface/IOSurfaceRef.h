// Memory that several frameworks share. From general knowledge of Apple's public documentation: the facts
// files describe Metal and MPS only.
#pragma once

typedef struct __IOSurface *IOSurfaceRef;
