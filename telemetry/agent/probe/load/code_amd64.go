package load

// code walks through instructions one after the other: more than a first cache of 32 to 64 KiB holds, or, gently, half of one.
func code(gentle bool) (*worker, func() error, error) {
	walk := instructions64k
	if gentle {
		walk = instructions16k
	}
	return &worker{func() error {
		for range 4 {
			walk()
		}
		return nil
	}, true}, nil, nil
}

// instructions64k executes 64 KiB of instructions, instructions16k 16 KiB.
//
//go:noescape
func instructions64k()

//go:noescape
func instructions16k()
