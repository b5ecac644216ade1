#!/bin/sh
exec node /opt/kruntimes/krt/krt.js "$@"
