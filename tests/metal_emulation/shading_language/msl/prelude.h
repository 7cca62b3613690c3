// All that a translated shader needs, included ahead of it.
#pragma once

#include "msl/fiber.h"
#include "msl/launch.h"
#include "msl/math.h"
#include "msl/texture.h"
#include "msl/vector.h"

#include "msl/keywords.h"
