//go:build xgboost

package xgboost

/*
#cgo LDFLAGS: -lxgboost
#include <stdlib.h>
#include <xgboost/c_api.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Model is a booster of the library, and the matrix that it was trained on. Close frees both.
type Model struct {
	booster C.BoosterHandle
	matrix  C.DMatrixHandle
}

// Version is the library's.
func Version() string {
	var major, minor, patch C.int
	C.XGBoostVersion(&major, &minor, &patch)
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

func check(rc C.int) error {
	if rc == 0 {
		return nil
	}
	return errors.New("xgboost: " + C.GoString(C.XGBGetLastError()))
}

// matrix is rows of x, which lie one after the other, NaN where missing, and their labels.
func matrix(x []float32, y []float32, rows int) (C.DMatrixHandle, error) {
	var m C.DMatrixHandle
	nan := float32(0)
	nan /= nan
	if err := check(C.XGDMatrixCreateFromMat((*C.float)(unsafe.Pointer(&x[0])), C.bst_ulong(rows), C.bst_ulong(len(x)/rows), C.float(nan), &m)); err != nil {
		return nil, err
	}
	if y == nil {
		return m, nil
	}
	name := C.CString("label")
	defer C.free(unsafe.Pointer(name))
	return m, check(C.XGDMatrixSetFloatInfo(m, name, (*C.float)(unsafe.Pointer(&y[0])), C.bst_ulong(rows)))
}

// Train trains so many trees with parameters by the library's names.
func Train(x, y []float32, trees int, params map[string]string) (*Model, error) {
	// The library has no cancellation and keeps state per thread: errors are read on the thread that made them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := &Model{}
	var err error
	if m.matrix, err = matrix(x, y, len(y)); err != nil {
		return nil, err
	}
	if err := check(C.XGBoosterCreate(&m.matrix, 1, &m.booster)); err != nil {
		return nil, err
	}
	for k, v := range params {
		key, value := C.CString(k), C.CString(v)
		err := check(C.XGBoosterSetParam(m.booster, key, value))
		C.free(unsafe.Pointer(key))
		C.free(unsafe.Pointer(value))
		if err != nil {
			return nil, err
		}
	}
	for i := range trees {
		if err := check(C.XGBoosterUpdateOneIter(m.booster, C.int(i), m.matrix)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Predict is what the model says of rows of x.
func (m *Model) Predict(x []float32, rows int) ([]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d, err := matrix(x, nil, rows)
	if err != nil {
		return nil, err
	}
	defer C.XGDMatrixFree(d)
	var n C.bst_ulong
	var out *C.float
	if err := check(C.XGBoosterPredict(m.booster, d, 0, 0, 0, &n, &out)); err != nil {
		return nil, err
	}
	p := make([]float64, n)
	for i, v := range unsafe.Slice((*float32)(unsafe.Pointer(out)), n) {
		p[i] = float64(v)
	}
	return p, nil
}

// Close frees what the library holds.
func (m *Model) Close() {
	C.XGBoosterFree(m.booster)
	C.XGDMatrixFree(m.matrix)
}
