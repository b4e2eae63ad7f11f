#include "cli/named_numbers.h"

#include <charconv>

#include "base/fail.h"

namespace vernier {

std::map<std::string, double, std::less<>> named_numbers(const std::vector<std::string>& arguments,
                                                         const std::string& option, const std::string& form) {
  std::map<std::string, double, std::less<>> numbers;
  for (const std::string& argument : arguments) {
    const size_t sign = argument.rfind('=');
    const char* end = argument.data() + argument.size();
    const char* first = sign == std::string::npos ? end : argument.data() + sign + 1;
    double number = 0;
    const auto [read, error] = std::from_chars(first, end, number);
    if (error != std::errc() || read != end || sign == 0)
      fail(ErrorKind::kInvalidArgument, "{} {}: expected {}", option, argument, form);
    numbers[argument.substr(0, sign)] = number;
  }
  return numbers;
}

}  // namespace vernier
