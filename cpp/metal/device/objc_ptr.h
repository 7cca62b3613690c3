#pragma once

// C++ owners of Objective-C objects, for manual reference counting. The engine reports failures as C++
// exceptions. Not every runtime handles these in @autoreleasepool and @try, but C++ destructors always run.

#include <utility>

#import <Foundation/Foundation.h>

namespace mpscnn::metal {

/// Owns one reference to an object; T is `id<Protocol>` or `Class *`.
template <class T> class objc_ptr {
public:
    objc_ptr() = default;
    objc_ptr(const objc_ptr &other) : object_([other.object_ retain]) {}
    objc_ptr(objc_ptr &&other) noexcept : object_(std::exchange(other.object_, nil)) {}
    objc_ptr &operator=(objc_ptr other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~objc_ptr() { [object_ release]; }

    /// Take over the caller's reference.
    static objc_ptr adopt(T owned) {
        objc_ptr pointer;
        pointer.object_ = owned;
        return pointer;
    }

    T get() const { return object_; }
    explicit operator bool() const { return object_ != nil; }
    void reset() { *this = objc_ptr(); }

private:
    T object_ = nil;
};

/// Own the result of alloc, new, copy or MTLCreateSystemDefaultDevice, which carries a reference.
template <class T> objc_ptr<T> adopt(T owned) { return objc_ptr<T>::adopt(owned); }

/// Own the result of any other function, by adding a reference.
template <class T> objc_ptr<T> share(T borrowed) { return objc_ptr<T>::adopt([borrowed retain]); }

/// An autorelease pool for a C++ scope. Every entry point from C++ and every handler has one. It releases the
/// objects that Apple's methods autorelease, also when an exception is thrown.
class autorelease_scope {
public:
    autorelease_scope() : pool_([[NSAutoreleasePool alloc] init]) {}
    ~autorelease_scope() { [pool_ drain]; }
    autorelease_scope(const autorelease_scope &) = delete;
    autorelease_scope &operator=(const autorelease_scope &) = delete;

private:
    NSAutoreleasePool *pool_;
};

} // namespace mpscnn::metal
