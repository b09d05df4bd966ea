package shapes

// table finds spans by their id.
type table struct {
	keys []uint64
	at   []int32
	mask uint64
}

func (x *table) reset(n int) {
	size := 8
	for size < 2*n {
		size *= 2
	}
	if size > len(x.keys) {
		x.keys, x.at = make([]uint64, size), make([]int32, size)
	}
	x.mask = uint64(size - 1)
	clear(x.at[:size])
}

// slot is where a key is, or would be.
func (x *table) slot(key uint64) uint64 {
	i := (key * 0x9e3779b97f4a7c15 >> 20) & x.mask
	for x.at[i] != 0 && x.keys[i] != key {
		i = (i + 1) & x.mask
	}
	return i
}

// put reports whether the key is new.
func (x *table) put(key uint64, i int32) bool {
	k := x.slot(key)
	if x.at[k] != 0 {
		return false
	}
	x.keys[k], x.at[k] = key, i+1
	return true
}

func (x *table) get(key uint64) int32 { return x.at[x.slot(key)] - 1 }
