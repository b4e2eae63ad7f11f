#pragma once

// What screens of texts and of images have in common: what is asked for at the beginning, values and scales at the end.

#include <functional>
#include <vector>

#include "screen/component_sums.h"
#include "screen/screen_sums.h"
#include "vernier/scheme.h"
#include "vernier/screen.h"

namespace vernier {

/// Each once. @throws Error{kInvalidArgument} for none
std::vector<Scheme> distinct_schemes(const std::vector<std::string>& names);

/// @throws Error{kUnsupported, kInvalidArgument}
void check_screen_options(const ScreenOptions& options);

/// Everything but domains, matrices and values.
Screen begin_screen(const Model& model, const Calibration& calibration, const std::vector<Scheme>& schemes,
                    const ScreenOptions& options);

/// By place in Screen::components, Screen::schemes and Screen::domains.
using ScreenedSums = std::function<ComponentSums(size_t component, size_t scheme, size_t domain)>;

/// Adds a domain: what its windows' labels cost, and its scales. @param label_nll by window, of all domains
void add_domain(Screen& s, ScreenedDomain own, const std::vector<ScreenWindow>& windows,
                const std::vector<double>& label_nll, const ScreenedSums& sums);

/// Of all domains, once they are there.
void fill_values(Screen& s, const ScreenedSums& sums, const ScreenOptions& options);

}  // namespace vernier
