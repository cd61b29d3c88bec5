#!/bin/sh
# SPDX-License-Identifier: PostgreSQL
# Installs the settings with their defaults, if there is no such file yet: one that is there may have been changed.
to=$DESTDIR$2/pgfold.ini
[ -e "$to" ] || { mkdir -p "$DESTDIR$2" && install -m 644 "$1" "$to"; }
