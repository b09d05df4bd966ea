package load

import "sync/atomic"

// kept takes the results of all work, so that no compiler leaves it out.
var kept atomic.Uint64

// integers keeps the units for whole numbers busy: eight chains that don't wait for each other.
func integers() error {
	a, b, c, d, e, f, g, h := uint64(1), uint64(2), uint64(3), uint64(4), uint64(5), uint64(6), uint64(7), uint64(8)
	for i := range uint64(4096) {
		a, b, c, d = a*3+i, b^(b<<7)+i, c*5+i, d+(d>>3)+i
		e, f, g, h = e^(e<<9)+i, f+(f>>5)+i, g^(g<<3)+i, h+(h>>1)+i
	}
	kept.Store(a ^ b ^ c ^ d ^ e ^ f ^ g ^ h)
	return nil
}

// floats keeps the units for floating-point numbers busy.
func floats() error {
	a, b, c, d, e, f, g, h := 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7
	for range 4096 {
		a, b, c, d = a*0.999+0.1, b*0.998+0.1, c*0.997+0.1, d*0.996+0.1
		e, f, g, h = e*0.995+0.1, f*0.994+0.1, g*0.993+0.1, h*0.992+0.1
	}
	kept.Store(uint64(a + b + c + d + e + f + g + h))
	return nil
}
