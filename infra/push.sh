#!/bin/sh
# Pushes the image of `make image` to the ECR repository of this account and region (infra/repository.yaml), and prints
# what `sam deploy` asks for.
#
#   infra/push.sh IMAGE:VERSION      REPOSITORY=another-name for another repository than participant-recorder
set -eu

image=$1
version=${image##*:}
repository=${REPOSITORY:-participant-recorder}

fail() { printf 'push: %s\n' "$*" >&2; exit 1; }

# Fargate would say "exec format error" instead, once the tasks are started.
architecture=$(docker image inspect --format '{{.Architecture}}' "$image") || fail "there is no $image: make image"
[ "$architecture" = arm64 ] || fail "$image is for $architecture, the tasks want arm64: make image builds that"

# Tags never change in the repository, so what has no commit of its own must not take one's name.
case $version in
*-dirty) fail "there are changes that are in no commit: commit them, or say make image push VERSION=name" ;;
esac

uri=$(aws ecr describe-repositories --repository-names "$repository" --query 'repositories[0].repositoryUri' \
	--output text) || fail "there is no ECR repository $repository in this account and region: see infra/DEPLOYMENT.md"

aws ecr get-login-password | docker login --username AWS --password-stdin "${uri%%/*}" >&2
docker tag "$image" "$uri:$version"
docker push "$uri:$version" >&2
printf 'RecorderVersion=%s\n' "$version"
