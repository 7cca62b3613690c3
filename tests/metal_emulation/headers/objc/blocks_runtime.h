// GNUstep's headers include this file if the compiler supports blocks.
#pragma once

#include <Block.h>
