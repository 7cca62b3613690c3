// GNUstep's headers ask for this one when the compiler knows blocks.
#pragma once

#include <Block.h>
