package ml

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
)

// Pack puts the parts of a model's payload together: a version, and then, compressed, each part with its length before it.
func Pack(version byte, parts ...[]byte) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte(version)
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if _, err := z.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part)))); err != nil {
			return nil, err
		}
		if _, err := z.Write(part); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Unpack takes apart what Pack put together, of the same version and into as many parts as there are. What unpacks to more than
// most bytes is refused. What names the kind of model, as in "model of tail latency", for errors.
func Unpack(what string, version byte, data []byte, most int64, parts [][]byte) error {
	if len(data) == 0 || data[0] != version {
		return fmt.Errorf("this is no %s of version %d: train it anew, or use the program that wrote it", what, version)
	}
	all, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data[1:])), most+1))
	if err != nil {
		return fmt.Errorf("the model can't be unpacked: %w", err)
	}
	if int64(len(all)) > most {
		return fmt.Errorf("the model unpacks to more than %d MiB", most>>20)
	}
	for i := range parts {
		if len(all) < 4 || uint64(len(all)-4) < uint64(binary.LittleEndian.Uint32(all)) {
			return fmt.Errorf("the model ends in part %d of %d", i+1, len(parts))
		}
		n := binary.LittleEndian.Uint32(all)
		parts[i], all = all[4:4+n], all[4+n:]
	}
	if len(all) > 0 {
		return fmt.Errorf("%d bytes follow the model", len(all))
	}
	return nil
}
