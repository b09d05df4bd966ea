// Package seal keeps files encrypted at rest, so that who takes the disk, a copy of it or a backup learns nothing but sizes and
// times, and who changes it is found out.
//
// There are two kinds of sealed data. A file is sealed whole, by Tink's streaming AES-GCM-HKDF. A Journal is appended to, a
// record at a time, and says after a crash exactly which records it holds. Both begin with the same header:
//
//	magic    8 bytes   "FSSEAL1\n"
//	kind     1 byte    'F' or 'J'
//	key id   8 bytes   which key it is, so that a wrong one is told apart from damage
//	id      16 bytes   random: no two files have the same
//	name    16 bytes   a tag of the name it was written under, so that files can't change places
//	marks   16 bytes   two numbers of the writer's, for example how far a journal was when the file was sealed
//
// The header is authenticated with everything that follows. Keys for the parts are derived from the one in the key file
// by HKDF-SHA-256 (RFC 5869), each for one purpose.
//
// A Vault keeps a whole directory sealed that a program works on in memory; package store uses it for its databases.
//
// # What is found out
//
// A wrong key, any changed byte, a file cut short, a file in another's place, records of a journal that were changed,
// reordered, repeated or left out in the middle, and, in a vault, single files that were replaced by older versions of
// themselves or a journal that is shorter than it was when it was last forced to disk. A journal that ends within a record is
// what a crash leaves: the record was not acknowledged and is cut off. What can't be found out from the disk alone is that the whole
// directory was replaced by an older copy of the whole.
package seal
