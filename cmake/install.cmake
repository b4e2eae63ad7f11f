# Filled in with the public headers and the package files.
