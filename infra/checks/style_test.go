package checks

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

const (
	// maxFields is how many fields a struct may have: more are several things in one.
	maxFields  = 12
	maxColumns = 120
)

// sources are the Go files below folders of the repository.
func sources(t *testing.T, folders ...string) (paths []string) {
	t.Helper()

	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") {
				paths = append(paths, path)
			}
			return err
		})
		require.NoError(t, err)
	}
	require.NotEmpty(t, paths)
	return paths
}

// parse reads Go files.
func parse(t *testing.T, paths ...string) (set *token.FileSet, files []*ast.File) {
	t.Helper()

	set = token.NewFileSet()
	for _, path := range paths {
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
	}
	return set, files
}

// structs are the struct types of one package, by name.
type structs map[string]*ast.StructType

// named are a package's types that are structs.
func named(files []*ast.File) structs {
	all := structs{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					all[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	return all
}

// fields counts a struct's fields. An embedded struct of the same package counts with its own; one of another package
// is one field.
func (all structs) fields(s *ast.StructType) (n int) {
	for _, f := range s.Fields.List {
		if len(f.Names) > 0 {
			n += len(f.Names)
			continue
		}

		embedded := f.Type
		if pointer, ok := embedded.(*ast.StarExpr); ok {
			embedded = pointer.X
		}
		if name, ok := embedded.(*ast.Ident); ok && all[name.Name] != nil {
			n += all.fields(all[name.Name])
			continue
		}
		n++
	}
	return n
}

// large lists the structs of one package's files that have too many fields.
func large(set *token.FileSet, files []*ast.File) (complaints []string) {
	all := named(files)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok && all.fields(s) > maxFields {
				complaint := fmt.Sprintf("%s: a struct of %d fields", set.Position(s.Pos()), all.fields(s))
				complaints = append(complaints, complaint)
			}
			return true
		})
	}
	return complaints
}

func TestStructsAreOneThingEach(t *testing.T) {
	packages := map[string][]string{}
	for _, path := range sources(t, "recorder") {
		if !strings.HasSuffix(path, "_test.go") {
			packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], path)
		}
	}

	for _, paths := range packages {
		for _, complaint := range large(parse(t, paths...)) {
			t.Error(complaint)
		}
	}
}

func TestEmbeddedFieldsCount(t *testing.T) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "example.go", `package example

		type six struct{ a, b, c, d, e, f int }

		type twelve struct { *six; other.Thing; g, h, i int; j, k int }

		type thirteen struct { six; g, h, i, j, k, l, m int }

		var anonymous struct { six; twelve }`, parser.SkipObjectResolution)
	require.NoError(t, err)

	require.Equal(t, []string{
		"example.go:7:17: a struct of 13 fields",
		"example.go:9:17: a struct of 18 fields",
	}, large(set, []*ast.File{file}))
}

func TestLinesFitOnAScreen(t *testing.T) {
	for _, path := range sources(t, "recorder", "shared", "functions") {
		file, err := os.Open(path)
		require.NoError(t, err)

		scanner := bufio.NewScanner(file)
		for n := 1; scanner.Scan(); n++ {
			if width := columns(scanner.Text()); width > maxColumns {
				t.Errorf("%s:%d: %d columns", path, n, width)
			}
		}
		require.NoError(t, scanner.Err())
		require.NoError(t, file.Close())
	}
}

// columns is how many characters a line has.
func columns(line string) int {
	return utf8.RuneCountInString(line)
}

// What decides how a recording goes on must be pure: a function of the state and the event, of no clock and no
// goroutine. Only then can every order of events be tried.
func TestStepIsPure(t *testing.T) {
	for _, name := range []string{"step.go", "step_grant.go", "step_end.go"} {
		set, files := parse(t, filepath.Join(root, "recorder", "recording", name))
		for _, complaint := range impure(set, files[0]) {
			t.Error(complaint)
		}
	}
}

// impure lists where a file asks the clock, waits, or does something beside itself.
func impure(set *token.FileSet, file *ast.File) (complaints []string) {
	complain := func(n ast.Node, what string) {
		complaints = append(complaints, fmt.Sprintf("%s: %s", set.Position(n.Pos()), what))
	}
	clock := map[string]bool{
		"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true,
		"NewTimer": true, "NewTicker": true, "Tick": true, "Sleep": true,
	}

	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			complain(n, "a goroutine")
		case *ast.SendStmt, *ast.SelectStmt, *ast.ChanType:
			complain(n, "a channel")
		case *ast.SelectorExpr:
			if from, ok := n.X.(*ast.Ident); ok && from.Name == "time" && clock[n.Sel.Name] {
				complain(n, "time."+n.Sel.Name)
			}
			if n.Sel.Name == "Go" {
				complain(n, "a goroutine")
			}
		}
		return true
	})
	return complaints
}

func TestImpureFunctionsAreFound(t *testing.T) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "example.go", `package example

		func step() {
			go step()
			_ = time.Now().Add(time.Second)
			group.Go(step)
			after := time.Since
			results <- 1
		}`, parser.SkipObjectResolution)
	require.NoError(t, err)

	require.Equal(t, []string{
		"example.go:4:4: a goroutine",
		"example.go:5:8: time.Now",
		"example.go:6:4: a goroutine",
		"example.go:7:13: time.Since",
		"example.go:8:4: a channel",
	}, impure(set, file))
}
