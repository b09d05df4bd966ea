// Package arch holds the rules of the house that the compiler does not: which package may import which, where clocks
// and random sources may be read, how large a package may grow. Its test fails when the tree breaks one.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the path that imports within the tree start with.
const Module = "foresail.dev"

// MaxPackageLines is the size past which a package becomes two rooms. Tests don't count.
const MaxPackageLines = 3000

// Rule says what the packages at and below Dir may import of this module, and of others.
type Rule struct {
	Dir    string   // relative to the module's root; "" is the root package alone
	Own    []string // packages of this module, as Dir; "x/..." for all at and below x; "..." for all
	Tests  []string // packages of this module that tests alone may import besides, as Own
	Others []string // prefixes of modules from outside; "..." for all
	Pure   bool     // no clock, global random source, goroutine-free timers, logger or environment
	Why    string
}

// file is one parsed source file.
type file struct {
	path  string
	test  bool
	ast   *ast.File
	lines int
}

// Check reads every Go file of the tree and returns what breaks the rules, one line each with the place and the reason.
func Check(tree fs.FS, rules []Rule) ([]string, error) {
	packages, fset, err := parse(tree)
	if err != nil {
		return nil, err
	}
	var faults []string
	dirs := make([]string, 0, len(packages))
	for d := range packages {
		dirs = append(dirs, d)
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		rule, ok := ruleFor(dir, rules)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s: no rule says what this package is for: add one to internal/arch, or move it", dir))
			continue
		}
		lines := 0
		for _, f := range packages[dir] {
			if f.test {
				continue
			}
			lines += f.lines
			faults = append(faults, checkImports(dir, f, rule)...)
			if rule.Pure {
				faults = append(faults, checkPure(fset, f)...)
			}
		}
		if lines > MaxPackageLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines, more than %d: make it two rooms", dir, lines, MaxPackageLines))
		}
	}
	return faults, nil
}

func parse(tree fs.FS) (map[string][]file, *token.FileSet, error) {
	fset := token.NewFileSet()
	packages := map[string][]file{}
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "vendor" || nested(tree, p)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, p, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(p)
		if dir == "." {
			dir = ""
		}
		packages[dir] = append(packages[dir], file{path: p, test: strings.HasSuffix(name, "_test.go"), ast: f, lines: strings.Count(string(src), "\n")})
		return nil
	})
	return packages, fset, err
}

// nested reports whether a folder is a module of its own.
func nested(tree fs.FS, dir string) bool {
	_, err := fs.Stat(tree, path.Join(dir, "go.mod"))
	return err == nil
}

// ruleFor is the rule with the longest Dir that covers a package.
func ruleFor(dir string, rules []Rule) (Rule, bool) {
	best, ok := Rule{}, false
	for _, r := range rules {
		covers := r.Dir == dir || (r.Dir != "" && strings.HasPrefix(dir, r.Dir+"/"))
		if covers && (!ok || len(r.Dir) > len(best.Dir)) {
			best, ok = r, true
		}
	}
	return best, ok
}

func checkImports(dir string, f file, rule Rule) []string {
	var faults []string
	for _, spec := range f.ast.Imports {
		imp, _ := strconv.Unquote(spec.Path.Value)
		own := imp == Module || strings.HasPrefix(imp, Module+"/")
		rel := strings.TrimPrefix(strings.TrimPrefix(imp, Module), "/")
		switch {
		case own && rel == dir: // an external test of the package itself
		case own && f.test && allowedOwn(rel, dir, rule.Tests):
		case own && !allowedOwn(rel, dir, rule.Own):
			faults = append(faults, fmt.Sprintf("%s: imports %s: %s", f.path, imp, rule.Why))
		case !own && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") && !allowedOther(imp, rule.Others):
			faults = append(faults, fmt.Sprintf("%s: imports %s: %s", f.path, imp, rule.Why))
		}
	}
	return faults
}

func allowedOwn(rel, dir string, allowed []string) bool {
	for _, a := range allowed {
		base, tree := strings.CutSuffix(a, "...")
		base = strings.TrimSuffix(base, "/")
		if rel == base && (a != "...") || tree && (base == "" || strings.HasPrefix(rel, base+"/")) {
			return true
		}
	}
	return false
}

func allowedOther(imp string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		return a == "..." || imp == a || strings.HasPrefix(imp, a+"/")
	})
}

// impure names what a pure package may not call, by import path. An empty list forbids the import itself.
var impure = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"},
	"math/rand/v2": {"Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "Uint32", "Uint32N", "Uint64", "Uint64N", "UintN", "Uint", "N", "Float32", "Float64", "ExpFloat64", "NormFloat64", "Perm", "Shuffle"},
	"math/rand":    {},
	"crypto/rand":  {},
	"log":          {},
	"log/slog":     {},
	"os":           {},
	"net":          {},
}

func checkPure(fset *token.FileSet, f file) []string {
	var faults []string
	names := map[string]string{} // local name → import path
	for _, spec := range f.ast.Imports {
		imp, _ := strconv.Unquote(spec.Path.Value)
		calls, watched := impure[imp]
		if !watched {
			continue
		}
		if len(calls) == 0 {
			faults = append(faults, fmt.Sprintf("%s: imports %s: a pure package reads no clock, random source, environment or network and writes no log", f.path, imp))
			continue
		}
		name := path.Base(imp)
		if name == "v2" {
			name = path.Base(path.Dir(imp))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imp
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			faults = append(faults, fmt.Sprintf("%s: starts a goroutine: a pure package is synchronous", fset.Position(n.Pos())))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok {
				if imp, ok := names[x.Name]; ok && slices.Contains(impure[imp], n.Sel.Name) {
					faults = append(faults, fmt.Sprintf("%s: %s.%s: time and randomness are injected into a pure package", fset.Position(n.Pos()), x.Name, n.Sel.Name))
				}
			}
		}
		return true
	})
	return faults
}
