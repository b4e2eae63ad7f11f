# OpenCV's decoders of images. Its own package is taken where it is installed; Debian's two packages of headers and libraries
# come without it, and then the targets' names are what the linker is told.
# Without them everything is built but the decoders: decode_absent.cpp says so when an image is opened.
find_package(OpenCV QUIET COMPONENTS core imgcodecs)
find_path(vernier_opencv_headers opencv2/imgcodecs.hpp HINTS ${OpenCV_INCLUDE_DIRS} PATH_SUFFIXES opencv4)
if(NOT TARGET opencv_imgcodecs)
  find_library(vernier_opencv_library opencv_imgcodecs)
endif()
mark_as_advanced(vernier_opencv_headers vernier_opencv_library)
set(vernier_opencv_libraries)
if(vernier_opencv_headers AND (TARGET opencv_imgcodecs OR vernier_opencv_library))
  set(vernier_opencv_libraries opencv_imgcodecs opencv_core)
else()
  message(STATUS "OpenCV was not found: this build decodes no images")
endif()
