package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"foresail.dev/access"
)

const (
	keySize   = 32
	keyPrefix = "foresail-key-1:"
)

// Key encrypts. It prints as its id, never as itself. The zero Key is none.
type Key struct{ secret access.Secret }

// NewKey draws a key.
func NewKey() Key {
	var b [keySize]byte
	_, _ = rand.Read(b[:]) // ends the program rather than fail
	return Key{access.NewSecret(string(b[:]))}
}

// KeyOf is a key of 32 random bytes.
func KeyOf(b []byte) (Key, error) {
	if len(b) != keySize {
		return Key{}, fmt.Errorf("a key has %d bytes, not %d: make one with 'foresail key new'", keySize, len(b))
	}
	return Key{access.NewSecret(string(b))}, nil
}

// ParseKey reads what Text writes. Errors don't quote it.
func ParseKey(s access.Secret) (Key, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s.Reveal()), keyPrefix)
	if !ok {
		return Key{}, errors.New("not a key: it begins with " + keyPrefix + "; make one with 'foresail key new'")
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Key{}, errors.New("not a key: what follows " + keyPrefix + " is not base64 of 32 bytes")
	}
	return KeyOf(b)
}

// ReadKey reads a key file, which must be its owner's alone.
func ReadKey(path string) (Key, error) {
	s, err := access.ReadSecret(path)
	if err != nil {
		return Key{}, fmt.Errorf("key file: %w", err)
	}
	k, err := ParseKey(s)
	if err != nil {
		return Key{}, fmt.Errorf("key file %s: %w", path, err)
	}
	return k, nil
}

// EnvPrefix marks the name of a key that is in an environment variable, where an orchestrator that fetches secrets puts it.
const EnvPrefix = "env:"

// FindKey reads the key of a file, or of the environment variable of a name that begins with EnvPrefix.
func FindKey(name string) (Key, error) {
	env, ok := strings.CutPrefix(name, EnvPrefix)
	if !ok {
		return ReadKey(name)
	}
	v := os.Getenv(env)
	if v == "" {
		return Key{}, fmt.Errorf("key: the environment variable %s is not set", env)
	}
	k, err := ParseKey(access.NewSecret(v))
	if err != nil {
		return Key{}, fmt.Errorf("key in the environment variable %s: %w", env, err)
	}
	return k, nil
}

// Text is the line of a key file.
func (k Key) Text() access.Secret {
	return access.NewSecret(keyPrefix + base64.RawURLEncoding.EncodeToString([]byte(k.secret.Reveal())))
}

// Bytes are the key itself.
func (k Key) Bytes() []byte { return []byte(k.secret.Reveal()) }

// IsZero reports that there is no key.
func (k Key) IsZero() bool { return k.secret.IsZero() }

// ID tells keys apart and tells nothing else about them.
func (k Key) ID() string { return hex.EncodeToString(k.derive(nil, "key id", 8)) }

// String is the id.
func (k Key) String() string {
	if k.IsZero() {
		return "no key"
	}
	return "key " + k.ID()
}

// derive makes a key for one purpose.
func (k Key) derive(salt []byte, purpose string, n int) []byte {
	out, err := hkdf.Key(sha256.New, []byte(k.secret.Reveal()), salt, "foresail seal 1 "+purpose, n)
	if err != nil {
		panic("seal: " + err.Error()) // n is small and the hash is fixed
	}
	return out
}
