# make, make check, make check-root, make demo, make install PREFIX= DESTDIR=,
# make uninstall, make clean. CONTRIBUTING.md tells of the others.

CC = cc
CARGO = cargo
LD = ld
OBJCOPY = objcopy
NM = nm
INSTALL = install
CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DESTDIR =
# Apart from the system's own, so that libxdp's headers may be installed beside them.
COMPAT_HEADERS = $(DESTDIR)$(INCLUDEDIR)/xsk-compat

# The version is written once, in Cargo.toml.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SOMAJOR := $(firstword $(subst ., ,$(VERSION)))
SONAME := libxsk.so.$(SOMAJOR)

B = build
LIB = $(B)/libxsk.so.$(VERSION)
COMPAT_SONAME := libxsk-compat.so.$(SOMAJOR)
COMPAT = $(B)/libxsk-compat.so.$(VERSION)
ARCHIVE = $(B)/libxsk.a
RUST_ARCHIVE = target/release/libxsk.a
RUST_SOURCES := $(shell find src -name '*.rs') Cargo.toml Cargo.lock build.rs cbindgen.toml

EXAMPLES := $(patsubst c-examples/%.c,$(B)/examples/%,$(wildcard c-examples/*.c))
EXAMPLES := $(filter-out $(B)/examples/common,$(EXAMPLES))
TESTS := $(patsubst tests/c/%.c,$(B)/tests/%,$(wildcard tests/c/*.c))
CARD_TESTS := $(patsubst tests/vm/%.c,$(B)/tests/%,$(wildcard tests/vm/*.c))

.PHONY: all lib header examples tests check check-root check-peers check-vm check-abi check-header \
	check-limits bench demo install uninstall clean
.DELETE_ON_ERROR:

all: lib header examples

lib: $(LIB) $(ARCHIVE) $(B)/libxsk.so $(B)/$(SONAME) $(COMPAT) $(B)/libxsk-compat.so \
	$(B)/$(COMPAT_SONAME)
header: include/xsk.h
examples: $(EXAMPLES)
tests: $(TESTS) $(CARD_TESTS)

# --- the library

# One static library of Rust, from which cc links the shared object: rustc's own
# link would ignore a second version script without a word. No binary shall hold a
# path of the machine that built it.
REMAP = --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(HOME:%=%/)=
$(RUST_ARCHIVE): $(RUST_SOURCES)
	@mkdir -p $(B)
	XSK_HEADER=$(CURDIR)/$(B)/xsk.h.new RUSTFLAGS="$(RUSTFLAGS) $(REMAP)" \
	    $(CARGO) rustc --release --locked --lib --crate-type staticlib --features clib \
	    --target-dir target
	@touch $@

# Renewed when it is another: what includes it is rebuilt only then.
include/xsk.h: $(RUST_ARCHIVE)
	@cmp -s $(B)/xsk.h.new $@ || cp $(B)/xsk.h.new $@

# Unwind tables are a seventh of the library and nothing in it unwinds. `make UNWIND=yes`
# keeps them for those who want backtraces and profiles through it.
UNWIND = no
SO_ARCHIVE = $(if $(filter yes,$(UNWIND)),$(RUST_ARCHIVE),$(B)/shared.a)
$(B)/shared.a: $(RUST_ARCHIVE)
	$(OBJCOPY) -R .eh_frame -R .rela.eh_frame $< $@

LINK_SO = $(CC) -shared -o $@ $(LDFLAGS) -Wl,-z,defs -Wl,-z,nodelete -Wl,-z,relro \
	-Wl,-z,now -Wl,--gc-sections -Wl,--build-id=sha1 -Wl,--whole-archive \
	$(SO_ARCHIVE) -Wl,--no-whole-archive -Wl,--as-needed -lpthread -Wl,--no-as-needed

$(LIB): $(SO_ARCHIVE) src/libxsk.map
	$(LINK_SO) -Wl,-soname,$(SONAME) -Wl,--version-script=src/libxsk.map

# The same code under libxdp's names too.
$(COMPAT): $(SO_ARCHIVE) src/libxsk.map src/libxsk-compat.map
	@cat src/libxsk.map src/libxsk-compat.map >$(B)/compat.map
	$(LINK_SO) -Wl,-soname,$(COMPAT_SONAME) -Wl,--version-script=$(B)/compat.map

$(B)/libxsk.so $(B)/$(SONAME): $(LIB)
	ln -sf $(notdir $(LIB)) $@

$(B)/libxsk-compat.so $(B)/$(COMPAT_SONAME): $(COMPAT)
	ln -sf $(notdir $(COMPAT)) $@

# One object in which only what the version script exports is global, so that it
# can be linked beside another Rust library.
$(ARCHIVE): $(RUST_ARCHIVE) src/libxsk.map
	@rm -rf $(B)/archive $@ && mkdir -p $(B)/archive
	sed -n 's/^[[:space:]]*\(xsk_[a-z0-9_]*\);/\1/p' src/libxsk.map >$(B)/archive/names
	$(LD) -r --gc-sections $$(sed 's/^/-u /' $(B)/archive/names) \
	    -o $(B)/archive/xsk.o $(RUST_ARCHIVE)
	$(OBJCOPY) --keep-global-symbols=$(B)/archive/names --strip-debug $(B)/archive/xsk.o
	$(AR) rcsD $@ $(B)/archive/xsk.o

# --- programs

LINK = -Iinclude -L$(B) -Wl,-rpath,'$$ORIGIN/..' -lxsk

# Where dlopen() is not in libc yet.
$(B)/examples/xskdump $(B)/tests/filter $(B)/tests/dispatcher: LINK += -ldl

$(B)/examples/%: c-examples/%.c c-examples/common.c c-examples/common.h include/xsk.h $(B)/libxsk.so $(B)/$(SONAME)
	@mkdir -p $(@D)
	$(CC) -std=c99 $(WARNINGS) $(CFLAGS) -o $@ $< c-examples/common.c $(LINK) -pthread

$(B)/tests/%: tests/c/%.c $(wildcard tests/c/*.h) include/xsk.h $(B)/libxsk.so $(B)/$(SONAME)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARNINGS) $(CFLAGS) -o $@ $< $(LINK) -pthread

# For the cards of a virtual machine.
$(CARD_TESTS): $(B)/tests/%: tests/vm/%.c tests/vm/wired.h $(wildcard tests/c/*.h) include/xsk.h \
	include/xdp/xsk.h $(B)/libxsk.so $(B)/$(SONAME)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARNINGS) $(CFLAGS) -o $@ $< -Itests/c $(LINK)

# --- checks

check: all tests
	CC="$(CC)" CARGO="$(CARGO)" tests/run.sh

# The part that needs root, alone.
check-root: all tests
	CC="$(CC)" CARGO="$(CARGO)" tests/run.sh root

# Against programs and libraries that are not ours: libxdp, DPDK. Debian's packages.
check-peers: lib header examples
	CC="$(CC)" CARGO="$(CARGO)" tests/run.sh peers

# The C tests on other kernels, in virtual machines: VM_KERNELS="5.10 newest" for some.
check-vm: lib tests
	tests/vm/check.sh

check-abi: $(LIB) $(ARCHIVE) $(COMPAT) include/xsk.h
	NM="$(NM)" tests/abi.sh $(LIB) $(ARCHIVE) $(COMPAT)

# The committed header is what this source generates.
check-header:
	XSK_HEADER=$(CURDIR)/target/xsk.h $(CARGO) build --locked
	diff -u include/xsk.h target/xsk.h

# Beside libxdp, Debian's package; PARTS are some of rings, veth, setup, scale, steer.
PARTS =
bench: lib header
	CC="$(CC)" MAKE="$(MAKE)" benches/run.sh $(PARTS)

# The short form: instructions of the ring loops against those that are recorded.
check-limits: lib header
	CC="$(CC)" MAKE="$(MAKE)" benches/run.sh limits

demo: all
	tests/demo.sh $(B)/examples

# --- installing

install: lib header $(B)/libxsk.pc $(B)/libxsk-compat.pc
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(COMPAT_HEADERS)/xdp $(COMPAT_HEADERS)/bpf
	$(INSTALL) -m 644 include/xsk.h $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 644 include/xdp/xsk.h $(COMPAT_HEADERS)/xdp
	$(INSTALL) -m 644 include/bpf/xsk.h $(COMPAT_HEADERS)/bpf
	$(INSTALL) -m 755 -s $(LIB) $(COMPAT) $(DESTDIR)$(LIBDIR)
	$(INSTALL) -m 644 $(ARCHIVE) $(DESTDIR)$(LIBDIR)
	$(INSTALL) -m 644 $(B)/libxsk.pc $(B)/libxsk-compat.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	ln -sf $(notdir $(LIB)) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libxsk.so
	ln -sf $(notdir $(COMPAT)) $(DESTDIR)$(LIBDIR)/$(COMPAT_SONAME)
	ln -sf $(COMPAT_SONAME) $(DESTDIR)$(LIBDIR)/libxsk-compat.so
	@# A library in the system's own directories is found after this only.
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig 2>/dev/null || :

# They depend on PREFIX, hence are always made anew.
.PHONY: $(B)/libxsk.pc $(B)/libxsk-compat.pc
$(B)/libxsk.pc $(B)/libxsk-compat.pc: $(B)/%.pc: src/%.pc.in
	@mkdir -p $(B)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' $< >$@

uninstall:
	rm -f $(DESTDIR)$(INCLUDEDIR)/xsk.h $(COMPAT_HEADERS)/xdp/xsk.h $(COMPAT_HEADERS)/bpf/xsk.h
	-@rmdir $(COMPAT_HEADERS)/xdp $(COMPAT_HEADERS)/bpf $(COMPAT_HEADERS) 2>/dev/null
	cd $(DESTDIR)$(LIBDIR) && rm -f libxsk.a libxsk.so $(SONAME) $(notdir $(LIB)) \
	    libxsk-compat.so $(COMPAT_SONAME) $(notdir $(COMPAT)) \
	    pkgconfig/libxsk.pc pkgconfig/libxsk-compat.pc

clean:
	rm -rf $(B)
	$(CARGO) clean
