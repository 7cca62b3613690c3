#!/bin/sh
# The same by curl: examples/service/curl.sh http://127.0.0.1:8000 examples/images/cat.jpg answer.png
set -eu
service=$1 photo=$2 picture=$3

curl --fail --silent "$service/v2/health/ready"
echo
# The body is the photo.
curl --fail --silent --data-binary "@$photo" "$service/v1/classify?top=1"
echo
# Or a form with it, as browsers send it.
curl --fail --silent --form "photo=@$photo" "$service/v1/classify?top=1"
echo
# The Accept header asks for the annotated photo; no answer after five seconds is an error.
curl --fail --silent --data-binary "@$photo" --header 'Accept: image/png' --header 'X-Request-Timeout: 5' \
    --output "$picture" "$service/v1/classify"
