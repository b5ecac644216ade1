#!/usr/bin/env bash
# Builds the images of a Dockerfile, and the pod's pause image, without a registry:
#
#   images.sh ROOT BASE STORAGE CONTEXT CUSTOM PAUSE OUT TAG TARGET...
#
# ROOT is a root filesystem with buildah; BASE one that stands for the images that the Dockerfile is FROM; STORAGE is kept
# for the next time. CUSTOM is the Dockerfile of a user, FROM kruntimes-bash-runtime wherever that lies; what it installs
# comes from the network, without which it is left out. OUT gets <target>.tar, each an archive of docker.io/library/<target>:TAG, and custom-runtime.tar.
set -euo pipefail

if [ "$1" != inside ]; then
  # Mounts of our own, which end with us.
  exec unshare --mount --pid --fork --kill-child --propagation private bash "${BASH_SOURCE[0]}" inside "$@"
fi
root=$2 base=$3 storage=$4 context=$5 custom=$6 pause=$7 out=$8 tag=$9
targets=("${@:10}")

top=$(mktemp -d)
# Not below the root's own folder: an overlay does not lie in itself.
mount -t tmpfs tmpfs "$top"
mkdir "$top"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=$root,upperdir=$top/upper,workdir=$top/work" "$top/root"
cd "$top/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p in/base in/context in/out in/pause var/lib/containers var/tmp etc/containers
mount --bind "$base" in/base
mount --bind "$context" in/context
mount --bind "$out" in/out
mount --bind "$storage" var/lib/containers
cp "$pause" in/pause/pause
mkdir in/custom
cp "$custom" in/custom/Dockerfile
cp /etc/resolv.conf etc/resolv.conf
printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >etc/containers/policy.json
cat >in/pause/Dockerfile <<'DOCKERFILE'
FROM scratch
COPY pause /pause
ENTRYPOINT ["/pause"]
DOCKERFILE
cat >in/build <<'BUILD'
set -euo pipefail
tag=$1
build=(buildah bud --quiet --layers --isolation chroot --pull-never)
export BUILDAH_FORMAT=docker STORAGE_DRIVER=overlay
if [ -z "$(buildah images --quiet localhost/kruntimes-test-base 2>/dev/null)" ]; then
  container=$(buildah from scratch)
  cp -a /in/base/. "$(buildah mount "$container")/"
  buildah commit --quiet --rm "$container" localhost/kruntimes-test-base
fi
"${build[@]}" -t docker.io/library/pause:test /in/pause
buildah push --quiet docker.io/library/pause:test docker-archive:/in/out/pause.tar:docker.io/library/pause:test
for target in "${@:2}"; do
  image=docker.io/library/$target
  "${build[@]}" --target "$target" --build-arg BASE=localhost/kruntimes-test-base \
    --build-arg NODE=localhost/kruntimes-test-base --build-arg "VERSION=$tag" -t "$image:$tag" /in/context
  rm -f "/in/out/$target.tar"
  buildah push --quiet "$image:$tag" "docker-archive:/in/out/$target.tar:$image:$tag"
done
# The name that a registry would give it.
buildah tag "docker.io/library/kruntimes-bash-runtime:$tag" "$(sed -n 's/^FROM //p' /in/custom/Dockerfile)"
image=docker.io/library/custom-runtime:$tag
if "${build[@]}" -t "$image" /in/custom; then
  buildah push --quiet "$image" "docker-archive:/in/out/custom-runtime.tar:$image"
elif apt-get -qq -o APT::Update::Error-Mode=any update; then
  exit 1
fi
BUILD
chroot . bash /in/build "$tag" "${targets[@]}"
