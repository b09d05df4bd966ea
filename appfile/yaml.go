package appfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds on what is read at all: the largest application that is drawn at random has 10,000 services and less than half of them.
const (
	maxBytes = 16 << 20
	maxDepth = 64
)

// parse turns bytes into the root node of their one document, or returns nil with the faults in c.
func parse(c *collector, data []byte) *yaml.Node {
	if len(data) > maxBytes {
		c.add(Fault{Message: fmt.Sprintf("is longer than %d bytes", maxBytes)})
		return nil
	}
	if at, what := badByte(data); at >= 0 {
		line, column := position(data, at)
		c.add(Fault{Line: line, Column: column, Message: what})
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decodeNode(dec, &doc); {
	case errors.Is(err, io.EOF):
		c.add(Fault{Message: "is empty"})
		return nil
	case err != nil:
		c.add(syntaxFault(err, data))
		return nil
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null" {
		c.add(Fault{Message: "is empty"})
		return nil
	}
	var next yaml.Node
	switch err := decodeNode(dec, &next); {
	case err == nil:
		c.add(Fault{Line: next.Line, Column: next.Column, Message: "a second document starts here; a file holds one"})
	case !errors.Is(err, io.EOF):
		c.add(syntaxFault(err, data))
	}
	root := doc.Content[0]
	plain(c, root, "", 0)
	if len(c.faults) > 0 {
		return nil // the shape is not trusted: what would follow is noise
	}
	return root
}

// decodeNode shields from a panic in the parser: the input may be anything.
func decodeNode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(n)
}

// plain refuses what lies outside the subset that files are written in.
func plain(c *collector, n *yaml.Node, path string, depth int) {
	fault := func(format string, args ...any) {
		c.add(Fault{Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case depth > maxDepth:
		fault("is nested more than %d deep", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		fault("aliases (*%s) are not read; use kinds or defaults, or write it out", n.Value)
		return
	case n.Anchor != "":
		fault("anchors (&%s) are not read; use kinds or defaults, or write it out", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		fault("tags (%s) are not read", n.Tag)
	}
	switch n.Kind {
	case yaml.MappingNode:
		seen := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			at := join(path, k.Value)
			key := func(msg string) { c.add(Fault{Line: k.Line, Column: k.Column, Path: at, Message: msg}) }
			switch {
			case k.Kind != yaml.ScalarNode || k.Anchor != "" || k.Style&yaml.TaggedStyle != 0:
				c.add(Fault{Line: k.Line, Column: k.Column, Path: path, Message: "a key must be plain text"})
				continue
			case k.ShortTag() == "!!merge":
				key("merge keys (<<) are not read; use kinds or defaults, or write it out")
				continue
			case k.Value == "" || k.ShortTag() == "!!null":
				c.add(Fault{Line: k.Line, Column: k.Column, Path: path, Message: "a key must not be empty"})
				continue
			case seen[k.Value] > 0:
				key(fmt.Sprintf("is given twice, first on line %d", seen[k.Value]))
			default:
				seen[k.Value] = k.Line
			}
			plain(c, v, at, depth+1)
		}
	case yaml.SequenceNode:
		for i, v := range n.Content {
			plain(c, v, index(path, i), depth+1)
		}
	}
}

func join(path, key string) string {
	if strings.ContainsAny(key, ".[] ") {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// badByte finds the first byte that no text file holds; -1 when there is none.
func badByte(data []byte) (at int, what string) {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return i, "is not UTF-8 text here"
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return i, fmt.Sprintf("holds the control character %#02x here", r)
		}
		i += n
	}
	return -1, ""
}

func position(data []byte, at int) (line, column int) {
	before := data[:at]
	return 1 + bytes.Count(before, []byte{'\n'}), at - bytes.LastIndexByte(before, '\n')
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxFault takes the line out of the parser's message; without one it means the first.
func syntaxFault(err error, data []byte) Fault {
	f := Fault{Line: 1, Column: 1, Message: err.Error()}
	if m := syntaxLine.FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0]); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Line = min(f.Line, 1+bytes.Count(data, []byte{'\n'}))
		f.Message = "is not YAML: " + m[2]
	}
	return f
}
