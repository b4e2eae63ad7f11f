# OpenCV's decoders of images. Its own package is taken where it is installed; Debian's two packages of headers and libraries
# come without it, and then the targets' names are what the linker is told.
find_package(OpenCV QUIET COMPONENTS core imgcodecs)
find_path(vernier_opencv_headers opencv2/imgcodecs.hpp HINTS ${OpenCV_INCLUDE_DIRS} PATH_SUFFIXES opencv4 REQUIRED)
if(NOT TARGET opencv_imgcodecs)
  find_library(vernier_opencv_library opencv_imgcodecs REQUIRED)
endif()
mark_as_advanced(vernier_opencv_headers vernier_opencv_library)
