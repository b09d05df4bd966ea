package source

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Walk hands each file that the paths name to each, decompressed: files themselves, those below a folder in order of
// their names, the members of tar archives, and standard input for "-". What a folder holds that match refuses is left
// out; files that are named are not asked about.
func Walk(paths []string, stdin io.Reader, match func(name string) bool, each func(name string, r io.Reader) error) error {
	for _, p := range paths {
		if p == "-" {
			if err := one("standard input", stdin, match, each); err != nil {
				return err
			}
			continue
		}
		if err := path(p, match, each); err != nil {
			return err
		}
	}
	return nil
}

func path(p string, match func(string) bool, each func(string, io.Reader) error) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return named(p, match, each)
	}
	found := 0
	err = filepath.WalkDir(p, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") || !match(at) {
			return nil
		}
		found++
		return named(at, match, each)
	})
	if err == nil && found == 0 {
		err = fmt.Errorf("%s holds no file of this format", p)
	}
	return err
}

func named(p string, match func(string) bool, each func(string, io.Reader) error) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	return one(p, f, match, each)
}

// one opens what may be compressed, or an archive.
func one(name string, r io.Reader, match func(string) bool, each func(string, io.Reader) error) error {
	in, err := Open(r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer in.Close()
	b := bufio.NewReaderSize(in, 64<<10)
	if magic, _ := b.Peek(262); len(magic) < 262 || string(magic[257:262]) != "ustar" {
		return each(name, b)
	}
	archive := tar.NewReader(b)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if h.Typeflag != tar.TypeReg || !match(h.Name) || strings.HasPrefix(filepath.Base(h.Name), ".") {
			continue
		}
		if err := each(name+": "+h.Name, archive); err != nil {
			return err
		}
	}
}
