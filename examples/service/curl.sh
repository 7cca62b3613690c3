#!/bin/sh
# Use the service with curl: examples/service/curl.sh http://127.0.0.1:8000 python/mpscnn/samples/photos/cat.jpg answer.png
set -eu
service=$1 photo=$2 picture=$3

curl --fail --silent "$service/v2/health/ready"
echo
# Send the photo as the body.
curl --fail --silent --data-binary "@$photo" "$service/v1/classify?top=1"
echo
# Send the photo in a form, like browsers.
curl --fail --silent --form "photo=@$photo" "$service/v1/classify?top=1"
echo
# Request the annotated photo by the Accept header. If there is no answer after five seconds, the request fails.
curl --fail --silent --data-binary "@$photo" --header 'Accept: image/png' --header 'X-Request-Timeout: 5' \
    --output "$picture" "$service/v1/classify"
