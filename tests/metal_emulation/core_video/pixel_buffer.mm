// CVPixelBuffer: 8-bit BGRA and ARGB, and NV12 in video and full range. Rows have padding after their pixels,
// as Apple's often do. Written from general knowledge of Apple's public documentation.
#import "core_video/surface.h"

#import <CoreVideo/CoreVideo.h>

#include "metal/metal_emulation.h"
#include "metal/violations.h"

#include <atomic>
#include <map>
#include <mutex>
#include <set>

#import "metal/object.h"

using namespace metal_emulation;

const CFStringRef kCVPixelBufferIOSurfacePropertiesKey = (CFStringRef) @"IOSurfaceProperties";
const CFStringRef kCVImageBufferYCbCrMatrixKey = (CFStringRef) @"CVImageBufferYCbCrMatrix";
const CFStringRef kCVImageBufferYCbCrMatrix_ITU_R_709_2 = (CFStringRef) @"ITU_R_709_2";
const CFStringRef kCVImageBufferYCbCrMatrix_ITU_R_601_4 = (CFStringRef) @"ITU_R_601_4";
const CFStringRef kCVImageBufferYCbCrMatrix_SMPTE_240M_1995 = (CFStringRef) @"SMPTE_240M_1995";

Boolean CFEqual(CFTypeRef one, CFTypeRef other) { return [(id)one isEqual:(id)other]; }
void CFRelease(CFTypeRef object) { [(id)object release]; }

struct __CVBuffer {
    std::shared_ptr<__IOSurface> surface;
    bool shared;
    std::map<CFStringRef, CFTypeRef> attachments;
    std::atomic<int> references{1}, locks{0};
};

namespace {

constexpr std::size_t row_padding = 24;

/// The pixel buffers that exist.
struct Buffers {
    std::mutex mutex;
    std::set<CFTypeRef> all;
};
Buffers &buffers() {
    static Buffers instance;
    return instance;
}

CVPixelBufferRef make_buffer(std::shared_ptr<__IOSurface> surface, bool shared) {
    auto *buffer = new __CVBuffer{std::move(surface), shared, {}};
    object_born("CVPixelBuffer");
    const std::lock_guard lock(buffers().mutex);
    buffers().all.insert(buffer);
    return buffer;
}

void add_plane(__IOSurface &surface, std::size_t width, std::size_t height, std::size_t pixel_bytes) {
    const std::size_t row_bytes = width * pixel_bytes + row_padding;
    surface.planes.push_back({width, height, pixel_bytes, row_bytes, surface.memory.size()});
    surface.memory.resize(surface.memory.size() + row_bytes * height, 0xff);
}

bool add_planes(__IOSurface &surface, std::size_t width, std::size_t height, OSType format) {
    surface.width = width;
    surface.height = height;
    surface.format = format;
    switch (format) {
    case kCVPixelFormatType_32ARGB:
    case kCVPixelFormatType_32BGRA:
        add_plane(surface, width, height, 4);
        return true;
    case kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange:
    case kCVPixelFormatType_420YpCbCr8BiPlanarFullRange:
        add_plane(surface, width, height, 1);
        add_plane(surface, (width + 1) / 2, (height + 1) / 2, 2);
        return true;
    default:
        return false;
    }
}

void *base_of(CVPixelBufferRef buffer, std::size_t plane) {
    METAL_EXPECT(buffer->locks > 0, "the base address of a pixel buffer that is not locked");
    return buffer->surface->memory.data() + buffer->surface->planes[plane].begin;
}

} // namespace

CVReturn CVPixelBufferCreate(CFAllocatorRef, std::size_t width, std::size_t height, OSType format,
                             CFDictionaryRef attributes, CVPixelBufferRef *out) {
    auto surface = std::make_shared<__IOSurface>();
    if (!add_planes(*surface, width, height, format)) return kCVReturnInvalidArgument;
    const bool shared = attributes && [(NSDictionary *)attributes
                                          objectForKey:(id)kCVPixelBufferIOSurfacePropertiesKey] != nil;
    *out = make_buffer(std::move(surface), shared);
    return kCVReturnSuccess;
}

CVReturn CVPixelBufferCreateWithIOSurface(CFAllocatorRef, IOSurfaceRef surface, CFDictionaryRef,
                                          CVPixelBufferRef *out) {
    if (!surface) return kCVReturnInvalidArgument;
    *out = make_buffer(surface->shared_from_this(), true);
    return kCVReturnSuccess;
}

CFTypeID CVPixelBufferGetTypeID() { return 1; }
unsigned long IOSurfaceGetTypeID() { return 2; }
CFTypeID CFGetTypeID(CFTypeRef object) {
    const std::lock_guard lock(buffers().mutex);
    for (const CFTypeRef known : buffers().all) {
        const auto *buffer = static_cast<const __CVBuffer *>(known);
        if (buffer == object) return CVPixelBufferGetTypeID();
        if (buffer->surface.get() == object) return IOSurfaceGetTypeID();
    }
    return 0;
}

CVPixelBufferRef CVPixelBufferRetain(CVPixelBufferRef buffer) {
    if (buffer) ++buffer->references;
    return buffer;
}

void CVPixelBufferRelease(CVPixelBufferRef buffer) {
    if (!buffer || --buffer->references > 0) return;
    METAL_EXPECT(buffer->locks == 0, "a pixel buffer that is locked is released");
    object_died("CVPixelBuffer");
    {
        const std::lock_guard lock(buffers().mutex);
        buffers().all.erase(buffer);
    }
    delete buffer;
}

CVReturn CVPixelBufferLockBaseAddress(CVPixelBufferRef buffer, CVPixelBufferLockFlags) {
    if (take_one(switches().fail_buffers)) return kCVReturnError;
    ++buffer->locks;
    return kCVReturnSuccess;
}

CVReturn CVPixelBufferUnlockBaseAddress(CVPixelBufferRef buffer, CVPixelBufferLockFlags) {
    METAL_EXPECT(--buffer->locks >= 0, "a pixel buffer is unlocked more often than locked");
    return kCVReturnSuccess;
}

std::size_t CVPixelBufferGetWidth(CVPixelBufferRef buffer) { return buffer->surface->width; }
std::size_t CVPixelBufferGetHeight(CVPixelBufferRef buffer) { return buffer->surface->height; }
OSType CVPixelBufferGetPixelFormatType(CVPixelBufferRef buffer) { return buffer->surface->format; }
void *CVPixelBufferGetBaseAddress(CVPixelBufferRef buffer) { return base_of(buffer, 0); }
std::size_t CVPixelBufferGetBytesPerRow(CVPixelBufferRef buffer) {
    return buffer->surface->planes[0].row_bytes;
}
void *CVPixelBufferGetBaseAddressOfPlane(CVPixelBufferRef buffer, std::size_t plane) {
    return base_of(buffer, plane);
}
std::size_t CVPixelBufferGetBytesPerRowOfPlane(CVPixelBufferRef buffer, std::size_t plane) {
    return buffer->surface->planes[plane].row_bytes;
}
std::size_t CVPixelBufferGetWidthOfPlane(CVPixelBufferRef buffer, std::size_t plane) {
    return buffer->surface->planes[plane].width;
}
std::size_t CVPixelBufferGetHeightOfPlane(CVPixelBufferRef buffer, std::size_t plane) {
    return buffer->surface->planes[plane].height;
}
IOSurfaceRef CVPixelBufferGetIOSurface(CVPixelBufferRef buffer) {
    return buffer->shared ? buffer->surface.get() : nullptr;
}

void *metal_emulation_surface(void *buffer) { return static_cast<CVPixelBufferRef>(buffer)->surface.get(); }

void CVBufferSetAttachment(CVBufferRef buffer, CFStringRef key, CFTypeRef value, CVAttachmentMode) {
    buffer->attachments[key] = value; // attachments are constants, so they are not retained
}
CFTypeRef CVBufferGetAttachment(CVBufferRef buffer, CFStringRef key, CVAttachmentMode *) {
    const auto found = buffer->attachments.find(key);
    return found == buffer->attachments.end() ? nullptr : found->second;
}
