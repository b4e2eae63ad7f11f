#include "cli/cli.h"

int main(int argc, char** argv) { return vernier::run_cli(argc, argv); }
