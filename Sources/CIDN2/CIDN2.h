#pragma once

// Names for libidn2, of which IDNA uses two functions.
#include <idn2.h>
