#!/bin/sh
# install.sh install|uninstall DESTDIR PREFIX SYSCONFDIR BUILD
#
# A configuration or policy that was changed by hand is never overwritten: the
# new one lands beside it as NAME.new.  What was not installed from here is not
# removed either.
set -eu
umask 022
cd "$(dirname "$0")/.."
what=$1 dest=$2 prefix=$3 sysconf=$4 build=$5

bin=$dest$prefix/bin
sbin=$dest$prefix/sbin
libexec=$dest$prefix/libexec/clipward
share=$dest$prefix/share/clipward
man=$dest$prefix/share/man
etc=$dest$sysconf/clipward
unit=$dest$prefix/lib/systemd/system
comp=$dest$prefix/share/bash-completion/completions

keep() {	# SOURCE TARGET
	if [ -e "$2" ] && ! cmp -s "$1" "$2"; then
		install -m 644 "$1" "$2.new"
		echo "kept $2; the new one is $2.new" >&2
	else
		install -m 644 "$1" "$2"
	fi
}
shipped_config() {	# the tree's, with installed paths
	sed -e "s,models/starter,$prefix/share/clipward/models/starter," \
	    -e "s,\(policies: *\)policies/,\1$sysconf/clipward/policies/," config.yaml
}
drop() {	# SOURCE TARGET - unless it was changed
	cmp -s "$1" "$2" && rm -f "$2"
	rm -f "$2.new"
}
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT

case $what in
install)
	install -d "$bin" "$sbin" "$libexec/plugins" "$share/models/starter" \
	    "$etc/policies" "$unit" "$comp" "$man/man1" "$man/man5" "$man/man7" "$man/man8"
	install -m 755 "$build/clipward" "$bin/"
	install -m 755 "$build/clipwardd" "$sbin/"
	install -m 755 "$build/clipward-worker" "$build/clipward-gate" "$libexec/"
	for so in "$build"/plugins/*.so; do
		install -m 755 "$so" "$libexec/plugins/"
	done
	install -m 644 models/starter/* "$share/models/starter/"
	install -m 644 daemon/format/verdict.schema.json "$share/"
	install -m 644 plugins/clipward_plugin.h "$share/"
	install -m 644 daemon/cli/clipward.bash "$comp/clipward"
	for page in man/*.[1-8]; do
		n=${page##*.}
		sed "s,@SYSCONFDIR@,$sysconf,g; s,@PREFIX@,$prefix,g" "$page" >"$tmp"
		install -m 644 "$tmp" "$man/man$n/$(basename "$page")"
	done
	for p in policies/*.yaml; do
		keep "$p" "$etc/policies/$(basename "$p")"
	done
	shipped_config >"$tmp"
	keep "$tmp" "$etc/config.yaml"
	sed "s,/usr/local/sbin,$prefix/sbin,g; s,/etc/clipward,$sysconf/clipward,g" \
	    systemd/clipwardd.service >"$tmp"
	install -m 644 "$tmp" "$unit/clipwardd.service"
	install -D -m 644 systemd/clipwardd.sysusers "$dest$prefix/lib/sysusers.d/clipwardd.conf"
	install -D -m 644 systemd/clipwardd.tmpfiles "$dest$prefix/lib/tmpfiles.d/clipwardd.conf"
	;;
uninstall)
	rm -f "$bin/clipward" "$sbin/clipwardd" "$unit/clipwardd.service" "$comp/clipward" \
	    "$dest$prefix/lib/sysusers.d/clipwardd.conf" "$dest$prefix/lib/tmpfiles.d/clipwardd.conf"
	rm -f "$libexec/clipward-worker" "$libexec/clipward-gate" \
	    "$share/verdict.schema.json" "$share/clipward_plugin.h"
	for plugin in plugins/*.c plugins/*/; do
		rm -f "$libexec/plugins/$(basename "$plugin" .c).so"
	done
	for part in models/starter/*; do
		rm -f "$share/$part"
	done
	for page in man/*.[1-8]; do
		rm -f "$man/man${page##*.}/$(basename "$page")"
	done
	for p in policies/*.yaml; do
		drop "$p" "$etc/policies/$(basename "$p")"
	done
	shipped_config >"$tmp"
	drop "$tmp" "$etc/config.yaml"
	for dir in "$libexec/plugins" "$libexec" "$share/models/starter" \
	    "$share/models" "$share" "$etc/policies" "$etc"; do
		rmdir "$dir" 2>/dev/null || :
	done
	;;
esac
