// Clang gives every Objective-C++ function of the GNU runtime this personality routine. libobjc's own version
// cannot handle C++ exceptions: the first one would end the process. Here C++'s personality routine serves
// both languages, because NSException is thrown as a foreign exception, which `catch (...)` and destructors
// handle. It is hidden, so GNUstep keeps using its own.
#include <unwind.h>

extern "C" _Unwind_Reason_Code __gxx_personality_v0(int version, _Unwind_Action actions,
                                                    _Unwind_Exception_Class exception_class,
                                                    _Unwind_Exception *exception, _Unwind_Context *context);

extern "C" __attribute__((visibility("hidden"))) _Unwind_Reason_Code
__gnu_objc_personality_v0(int version, _Unwind_Action actions, _Unwind_Exception_Class exception_class,
                          _Unwind_Exception *exception, _Unwind_Context *context) {
    return __gxx_personality_v0(version, actions, exception_class, exception, context);
}
