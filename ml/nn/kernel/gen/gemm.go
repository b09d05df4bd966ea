package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tile writes the kernel that computes rows × 8·vectors of a matrix product. All sums stay in registers; A is read by
// single numbers, whatever its strides, and B by vectors.
func tile(rows, vectors int, masked bool) {
	name := fmt.Sprintf("tile%dx%d", rows, 8*vectors)
	doc := fmt.Sprintf("C = A·B, or C += A·B when add is not 0, for %d rows and %d columns; strides are in bytes.", rows, 8*vectors)
	signature := "k int, a *float32, ars, acs int, b *float32, brs int, c *float32, crs int, add int"
	if masked {
		name += "masked"
		doc = fmt.Sprintf("as tile%dx%d, for the columns that the masks keep.", rows, 8*vectors)
		signature += ", mask0, mask1 *int32"
	}
	start(name, doc, signature)
	k, b, brs := ptr("k"), ptr("b"), ptr("brs")
	ars, acs := ptr("ars"), ptr("acs")
	p := ptr("a") // row 0 of A; q is row 3
	var q Register
	if rows > 3 {
		q = GP64()
		LEAQ(Mem{Base: ars, Index: ars, Scale: 2}, q)
		ADDQ(p, q)
	}
	a := func(row int) Mem {
		base := p
		if row >= 3 {
			base, row = q, row-3
		}
		if row == 0 {
			return Mem{Base: base}
		}
		return Mem{Base: base, Index: ars, Scale: uint8(row)}
	}
	var masks []VecVirtual
	if masked {
		for _, m := range []string{"mask0", "mask1"} {
			r := YMM()
			VMOVUPS(Mem{Base: ptr(m)}, r)
			masks = append(masks, r)
		}
	}
	sums := make([][]VecVirtual, rows)
	for i := range sums {
		for range vectors {
			s := YMM()
			VXORPS(s, s, s)
			sums[i] = append(sums[i], s)
		}
	}
	Label(name + "_loop")
	if !masked || vectors*rows <= 10 {
		inB := make([]VecVirtual, vectors)
		for v := range inB {
			inB[v] = YMM()
			if masked {
				VMASKMOVPS(Mem{Base: b, Disp: 32 * v}, masks[v], inB[v])
			} else {
				VMOVUPS(Mem{Base: b, Disp: 32 * v}, inB[v])
			}
		}
		x := YMM()
		for i := range rows {
			VBROADCASTSS(a(i), x)
			for v := range vectors {
				VFMADD231PS(x, inB[v], sums[i][v])
			}
		}
	} else {
		// Twelve sums and two masks leave two registers: one vector of B at a time.
		x, inB := YMM(), YMM()
		for v := range vectors {
			VMASKMOVPS(Mem{Base: b, Disp: 32 * v}, masks[v], inB)
			for i := range rows {
				VBROADCASTSS(a(i), x)
				VFMADD231PS(x, inB, sums[i][v])
			}
		}
	}
	ADDQ(acs, p)
	if rows > 3 {
		ADDQ(acs, q)
	}
	ADDQ(brs, b)
	DECQ(k)
	JNE(LabelRef(name + "_loop"))

	out, crs, add := ptr("c"), ptr("crs"), ptr("add")
	store := func(withOld bool) {
		for i := range rows {
			for v := range vectors {
				at := Mem{Base: out, Disp: 32 * v}
				switch {
				case masked && withOld:
					old := YMM()
					VMASKMOVPS(at, masks[v], old)
					VADDPS(old, sums[i][v], sums[i][v])
				case withOld:
					VADDPS(at, sums[i][v], sums[i][v])
				}
				if masked {
					VMASKMOVPS(sums[i][v], masks[v], at)
				} else {
					VMOVUPS(sums[i][v], at)
				}
			}
			if i+1 < rows {
				ADDQ(crs, out)
			}
		}
	}
	TESTQ(add, add)
	JNE(LabelRef(name + "_add"))
	store(false)
	VZEROUPPER()
	RET()
	Label(name + "_add")
	store(true)
	VZEROUPPER()
	RET()
}
