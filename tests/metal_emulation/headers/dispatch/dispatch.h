// The part of Grand Central Dispatch that Metal's methods use: memory as an object. Debian has no package of
// it.
#pragma once

#import <Foundation/Foundation.h>

typedef void (^dispatch_block_t)(void);
typedef NSObject *dispatch_queue_t;
typedef NSObject *dispatch_data_t;

/// Without a destructor the bytes are copied. With one they are used in place, and the destructor is called
/// when the object dies. It runs on the thread that released the object, not on the queue.
FOUNDATION_EXPORT dispatch_data_t dispatch_data_create(const void *buffer, size_t size,
                                                       dispatch_queue_t queue, dispatch_block_t destructor);
