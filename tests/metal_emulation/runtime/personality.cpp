// Clang gives every Objective-C++ function of the GNU runtime this personality, and libobjc's own cannot
// handle C++ exceptions: the first one thrown would end the process. C++'s personality serves both languages
// here, for NSException is thrown as a foreign exception that `catch (...)` and destructors see. Hidden, so
// that GNUstep keeps its own.
#include <unwind.h>

extern "C" _Unwind_Reason_Code __gxx_personality_v0(int version, _Unwind_Action actions,
                                                    _Unwind_Exception_Class exception_class,
                                                    _Unwind_Exception *exception, _Unwind_Context *context);

extern "C" __attribute__((visibility("hidden"))) _Unwind_Reason_Code
__gnu_objc_personality_v0(int version, _Unwind_Action actions, _Unwind_Exception_Class exception_class,
                          _Unwind_Exception *exception, _Unwind_Context *context) {
    return __gxx_personality_v0(version, actions, exception_class, exception, context);
}
