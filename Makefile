# clipward - `make help` lists what there is to do; V=1 shows whole commands.

VERSION	 ?= 0.1.0
PREFIX	 ?= /usr/local
SYSCONFDIR ?= /etc
LIBEXEC	  = $(PREFIX)/libexec/clipward
CFLAGS	 ?= -O2 -g
WARN	  = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wvla -Wpointer-arith $(WERROR)
HARDEN	  = -fPIE -fstack-protector-strong -fstack-clash-protection \
	    -fcf-protection $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
SANFLAGS  = $(SAN:%=-fsanitize=% -fno-omit-frame-pointer)
ALL_C	  = -std=c17 -D_GNU_SOURCE -Idaemon -I. -MMD -MP $(WARN) $(HARDEN) \
	    $(SANFLAGS) -DCW_VERSION='"$(VERSION)"' \
	    -DCW_LIBEXECDIR='"$(LIBEXEC)"' -DCW_SYSCONFDIR='"$(SYSCONFDIR)"' \
	    -DCW_DATADIR='"$(PREFIX)/share/clipward"'
LDHARD	  = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,ibt,-z,shstk,--as-needed

# One build folder per sanitizer, so `make check SAN=address` spoils nothing.
comma	  = ,
B	  = build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
src	  = $(patsubst %.c,$(B)/%.o,$(sort $(foreach d,$(1),\
	    $(wildcard daemon/$(d)/*.c daemon/$(d)/kernels/*.c))))
Q	  = $(if $(V),,@echo '  $(1)' $@;)
LINK	  = $(call Q,LINK)$(CC) $(LDFLAGS) $(LDHARD) $(SANFLAGS) -o $@ \
	    $(filter %.o %.a,$^)

# What each program is made of says what it can do: the daemon that holds the
# spool has no image decoder, the worker that decodes has no network.
PROGS	  = $(addprefix $(B)/,clipwardd clipward-gate clipward-worker clipward)
clipwardd_O	= $(call src,base format conf supervisor)
clipwardd_L	= -levent -lyaml -lsqlite3 -ljansson -lsystemd -lcrypto -ldl -lm
gate_O		= $(call src,base format gate)
gate_L		= -lzmq -ljansson -lseccomp -lcrypto -lm
worker_O	= $(call src,base format model worker)
worker_L	= -lturbojpeg -ljpeg -lopenblas -ljansson -lutf8proc -lseccomp -lpng \
		  -lcrypto -ldl -lm
clipward_O	= $(call src,base format conf cli)
clipward_L	= -lyaml -ljansson -lzmq -lcrypto -lm

# A plugin is one file, or a folder of them.
PLUGINS	  = $(patsubst plugins/%,$(B)/plugins/%.so,\
	    $(basename $(wildcard plugins/*.c)) $(patsubst %/,%,$(wildcard plugins/*/)))
plugin_png_L	= -lpng -lz
plugin_webp_L	= -lwebp -lwebpdemux
plugin_gif_L	= -lgif
plugin_jsonl_L	= -ljansson

all: deps-check $(PROGS) $(PLUGINS)	## build the four programs and the plugins

$(B)/clipwardd: $(clipwardd_O)
	$(LINK) -rdynamic $(clipwardd_L)
$(B)/clipward-gate: $(gate_O)
	$(LINK) $(gate_L)
$(B)/clipward-worker: $(worker_O)
	$(LINK) -rdynamic $(worker_L)
$(B)/clipward: $(clipward_O)
	$(LINK) $(clipward_L)

# Hot loops want the compiler's best; kernels name their instruction set.
$(B)/daemon/model/%.o: OPT = -O3
$(B)/daemon/worker/resample%.o: OPT = -O3
$(B)/%_avx2.o: ISA = -mavx2 -mfma
$(B)/%_avx512.o: ISA = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma
$(B)/%_avx512vnni.o: ISA = -mavx512f -mavx512bw -mavx512vl -mavx512dq \
	-mavx512vnni -mfma
$(B)/%_avx512bf16.o: ISA = -mavx512f -mavx512bw -mavx512vl -mavx512dq \
	-mavx512bf16 -mfma
$(B)/%_avxvnni.o: ISA = -mavx2 -mfma -mavxvnni
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(ALL_C) $(CPPFLAGS) $(CFLAGS) $(OPT) $(ISA) -c -o $@ $<
# Paths and version are in these: another PREFIX makes them anew.
BAKED	  = $(patsubst %.c,$(B)/%.o,$(shell grep -rlE --include='*.c' \
	    'CW_(VERSION|LIBEXECDIR|SYSCONFDIR|DATADIR)' daemon))
$(BAKED): $(B)/baked
$(B)/baked: always
	@mkdir -p $(@D)
	@echo '$(VERSION) $(PREFIX) $(SYSCONFDIR)' | cmp -s - $@ || \
	    echo '$(VERSION) $(PREFIX) $(SYSCONFDIR)' >$@
.SECONDEXPANSION:
$(B)/plugins/%.so: $$(wildcard plugins/$$*.c plugins/$$*/*.c)
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(ALL_C) -fPIC $(CPPFLAGS) $(CFLAGS) -shared $(LDFLAGS) \
	    -Wl,-z,relro,-z,now $(SANFLAGS) -o $@ $(filter %.c,$^) \
	    $(plugin_$*_L)

# ---- tests -------------------------------------------------------------

export CW_SHARED ?= $(patsubst %/reference/README.md,%,\
	    $(wildcard $(CURDIR)/../shared/reference/README.md))
export CW_BUILD = $(CURDIR)/$(B)
# Debian's python3 has Debian's modules; another one may come first in PATH.
export PATH := /usr/bin:$(PATH)
TESTS	  = $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
NOTMAIN	  = $(filter-out %/main.o,$(call src,base format conf model worker \
	    supervisor gate cli))
ALL_L	  = -lcmocka $(sort $(clipwardd_L) $(gate_L) $(worker_L) $(clipward_L))
$(B)/libunit.a: $(NOTMAIN)
	@rm -f $@
	$(call Q,AR)$(AR) rcs $@ $^
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libunit.a
	$(LINK) $(ALL_L)
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/libunit.a
	$(LINK) $(ALL_L)

REPLAYS	  = $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay.o $(B)/libunit.a
	$(LINK) -rdynamic $(ALL_L)

# One step after the other: -j is for what each of them compiles.  A group that
# fails does not hide how the others go; what a run before has counted is no
# part of this one.
check:				## everything a pull request must pass
	@rm -f $(B)/tests/tally
	@for step in deps-test all lint; do \
	    $(MAKE) --no-print-directory $$step || exit; done
	@bad=0; for step in unit replay e2e faults; do \
	    $(MAKE) --no-print-directory $$step || bad=1; done; \
	    tests/run.sh total && exit $$bad
unit: all $(TESTS)		## unit and golden tests
	@tests/run.sh unit $(TESTS)
replay: all $(REPLAYS)		## fuzz harnesses over the corpora kept
	@REPLAYS='$(REPLAYS)' tests/run.sh replay tests/fuzz/replay.sh
e2e: all			## the real daemon, driven from outside
	@tests/run.sh e2e $(sort $(wildcard tests/e2e/[0-9]*.sh))
faults: all			## what must survive, in the short form
	@JOBS=2 tests/run.sh faults $(sort $(wildcard tests/faults/[0-9]*.sh))
lint: all			## layers, docs, cppcheck, shellcheck, mandoc, -Werror
	@tests/lint/lint.sh
format:				## clang-format over daemon, plugins and tests
	clang-format -i $$(git ls-files 'daemon/*.[ch]' 'plugins/*.[ch]' 'tests/*.[ch]')

# ---- people -------------------------------------------------------------

demo: deps all			## a daemon, some pictures, their verdicts
	@tests/demo.sh
pictures: deps all		## the demo's maps that README.md shows
	@tests/pictures.sh
run: all			## the daemon in the foreground, in a temporary folder
	@tests/run-daemon.sh
bench: all $(B)/tests/bench/limit	## speed, beside other engines where they can be installed
	@tests/bench/bench.sh
bench-growth: all		## images/s against batch, workers, prompts, size, model: table and plot
	@tests/bench/bench.sh growth
bench-kernels: all $(addprefix $(B)/tests/bench/,limit kernel_bench)	## GFLOP/s: the limit of a core, each kernel
	@$(B)/tests/bench/limit
	@$(B)/tests/bench/kernel_bench
localise: all			## does the map point at the object? MODEL=DIR
	@python3 tests/bench/localise.py $(if $(MODEL),--model $(MODEL))
soak: all			## memory under full load; MODEL=DIR SECONDS_=600
	@tests/faults/soak.sh
torture: all $(addprefix $(B)/tests/unit/,test_spool test_syslog)	## the long form of every fault test
	@tests/faults/torture.sh
coverage:			## lines of our parsers that tests run; LIMIT=90
	@tests/coverage.sh
valgrind: all $(TESTS)		## unit tests and a small daemon under memcheck
	@tests/e2e/valgrind.sh $(TESTS)
fuzz:				## clang libFuzzer; TIME=60 seconds a target
	@tests/fuzz/fuzz.sh
deps:				## install what is missing (apt), or say the line
	@tests/deps.sh build demo
deps-check:
	@tests/deps.sh -q build
deps-test:
	@tests/deps.sh build test

install: all			## DESTDIR, PREFIX, SYSCONFDIR
	@tests/install.sh install "$(DESTDIR)" "$(PREFIX)" "$(SYSCONFDIR)" $(B)
uninstall:			## leaves a changed configuration alone
	@tests/install.sh uninstall "$(DESTDIR)" "$(PREFIX)" "$(SYSCONFDIR)" $(B)
dist:				## a tarball of the last commit
	git archive --prefix=clipward-$(VERSION)/ -o clipward-$(VERSION).tar.gz HEAD
clean:				## remove every build folder
	rm -rf build build-*
print-libs:
	@echo $(ALL_L)
help:				## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*##[[:space:]]*/  \1	/p' Makefile | expand -t 14

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all always check unit replay e2e faults lint format demo pictures run bench bench-growth bench-kernels localise soak torture coverage valgrind fuzz deps \
	deps-check deps-test install uninstall dist clean help print-libs
.SECONDARY:
