// Memory that several frameworks share. Written from general knowledge of Apple's public documentation, since
// apple_api.py has data about Metal and MPS only.
#pragma once

typedef struct __IOSurface *IOSurfaceRef;

#ifdef __cplusplus
extern "C" {
#endif

unsigned long IOSurfaceGetTypeID(void);

#ifdef __cplusplus
}
#endif
