// Everything that a translated shader needs; it is included before the shader.
#pragma once

#include "msl/fiber.h"
#include "msl/launch.h"
#include "msl/math.h"
#include "msl/simdgroup.h"
#include "msl/texture.h"
#include "msl/vector.h"

#include "msl/keywords.h"
