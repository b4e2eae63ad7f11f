#pragma once

// Options of the form NAME=NUMBER, such as --tolerance loss_nats=0.02.

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace vernier {

/// By name, which may hold a = itself; of a name that comes twice the latter. `option` and `form`, such as "FIGURE=NUMBER,
/// such as loss_nats=0.02", are for the message. @throws Error{kInvalidArgument} for an argument of another form
std::map<std::string, double, std::less<>> named_numbers(const std::vector<std::string>& arguments,
                                                         const std::string& option, const std::string& form);

}  // namespace vernier
