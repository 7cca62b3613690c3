#pragma once

// MPSCNN_ON_IOS is 1 where the sources are compiled for iOS and its relatives, which lack some of macOS. The
// compiler defines the name below for them, also without Apple's headers.
#if defined(__ENVIRONMENT_IPHONE_OS_VERSION_MIN_REQUIRED__)
#define MPSCNN_ON_IOS 1
#else
#define MPSCNN_ON_IOS 0
#endif
