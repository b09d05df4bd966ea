package appfile

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Checker is what a type that Decode fills may implement, on its pointer, to add faults of its own. Check is called
// once for each value that was read, after its fields were; a field that had a fault holds its zero value.
type Checker interface {
	Check(at Place)
}

// Place is where a value stands in a file. Its zero value stands nowhere and drops faults.
type Place struct {
	c    *collector
	node *yaml.Node
	path string
	key  *yaml.Node // that node is the value of; nil for elements and the whole file
}

// At is the place of a part: a field or key for a string, an element for an int. Where the file does not have it, the
// place keeps the position of what should hold it, and still tells the whole path.
func (p Place) At(keys ...any) Place {
	for _, key := range keys {
		var found, name *yaml.Node
		switch key := key.(type) {
		case string:
			p.path = join(p.path, key)
			if p.node != nil && p.node.Kind == yaml.MappingNode {
				for i := 0; i+1 < len(p.node.Content); i += 2 {
					if p.node.Content[i].Value == key {
						name, found = p.node.Content[i], p.node.Content[i+1]
						break
					}
				}
			}
		case int:
			p.path = index(p.path, key)
			if p.node != nil && p.node.Kind == yaml.SequenceNode && key < len(p.node.Content) {
				found = p.node.Content[key]
			}
		default:
			panic(fmt.Sprintf("appfile: a part is named by a string or an int, not by %T", key))
		}
		if found == nil && p.node != nil { // keep the position, hide what is beneath
			line, column := p.position()
			found = &yaml.Node{Line: line, Column: column}
		}
		p.node, p.key = found, name
	}
	return p
}

// Faultf adds a fault here. The message follows the path: "is 3, must be at most 2".
func (p Place) Faultf(format string, args ...any) {
	if p.c == nil {
		return
	}
	f := Fault{Path: p.path, Message: fmt.Sprintf(format, args...)}
	f.Line, f.Column = p.position()
	p.c.add(f)
}

// Key is the place of the name in front of this value, for faults about the name.
func (p Place) Key() Place {
	if p.key != nil {
		p.node = p.key
	}
	return p
}

// Line is the line in the file, from 1.
func (p Place) Line() int {
	line, _ := p.position()
	return line
}

// position is where a person looks for the value: at itself, and for one that spans lines at the name in front of it.
func (p Place) position() (line, column int) {
	n := p.node
	if n != nil && p.key != nil && (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) {
		n = p.key
	}
	if n == nil {
		return 1, 1
	}
	return max(n.Line, 1), max(n.Column, 1)
}

func (p Place) isScalar() bool { return p.node != nil && p.node.Kind == yaml.ScalarNode }
