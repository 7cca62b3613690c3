// The little of Grand Central Dispatch that Metal's methods take: memory as an object. Debian has none of it.
#pragma once

#import <Foundation/Foundation.h>

typedef void (^dispatch_block_t)(void);
typedef NSObject *dispatch_queue_t;
typedef NSObject *dispatch_data_t;

/// Without a destructor the bytes are copied; else they are read where they lie, and the destructor is called
/// once the object is gone. It runs where that happens, not on the queue.
FOUNDATION_EXPORT dispatch_data_t dispatch_data_create(const void *buffer, size_t size,
                                                       dispatch_queue_t queue, dispatch_block_t destructor);
