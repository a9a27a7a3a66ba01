#!/bin/sh
# opencv-python draws windows and so needs libGL, which servers and slim images lack. Where it
# cannot be imported for that reason, takes the headless build of the same version in its place.
# Usage: fit_opencv.sh FOLDER_OF_PYTHON_AND_PIP
set -eu
bin=$1
if problem=$("$bin/python" -c 'import cv2' 2>&1); then
  exit 0
fi
version=$(sed -n 's/^opencv-python==//p' requirements.txt)
echo "opencv-python cannot be imported here: $(printf '%s' "$problem" | tail -n 1)"
echo "Taking opencv-python-headless==$version in its place."
# Both packages own the folder cv2, so the first has to go before the second comes.
"$bin/pip" uninstall --disable-pip-version-check -q -y opencv-python
"$bin/pip" install --disable-pip-version-check -q --force-reinstall --no-deps "opencv-python-headless==$version"
"$bin/python" -c 'import cv2; print("cv2", cv2.__version__, "works.")'
