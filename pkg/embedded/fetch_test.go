package embedded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// startRepository serves what the fetching library asks for: an archive that holds an
// archive that holds the given programs.
func startRepository(t *testing.T, programs map[string]string) (url string, downloads *atomic.Int32) {
	t.Helper()
	jar := zipped(t, "postgres.txz", xzStored(tarred(t, programs)))
	downloads = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r) // checksums
			return
		}
		downloads.Add(1)
		_, _ = w.Write(jar) // a client that hung up fails its own test
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // the library uses it
	return server.URL, downloads
}

func fetchConfig(t *testing.T, repository string) (PostgresConfig, account) {
	t.Helper()
	who, err := chooseAccount("")
	require.NoError(t, err)
	return PostgresConfig{CacheDir: filepath.Join(dataDir(t), "cache"), Repository: repository}, who
}

const fakeProgram = "#!/bin/sh\necho 'postgres (PostgreSQL) 17.5'\nexit 0\n"

func TestFetch(t *testing.T) {
	repository, downloads := startRepository(t, map[string]string{
		"bin/postgres": fakeProgram,
		"bin/initdb":   "#!/bin/sh\nexit 1\n",
		"bin/pg_ctl":   "#!/bin/sh\nexit 1\n",
	})
	cfg, who := fetchConfig(t, repository)

	inst, err := cfg.fetch(t.Context(), who, 0)
	require.NoError(t, err)
	require.Equal(t, 17, inst.major)
	require.FileExists(t, inst.program("initdb"))

	t.Run("only once", func(t *testing.T) {
		again, err := cfg.fetch(t.Context(), who, 17)
		require.NoError(t, err)
		require.Equal(t, inst, again)
		require.EqualValues(t, 1, downloads.Load())
	})
	t.Run("leaving nothing else in the cache", func(t *testing.T) {
		entries, err := os.ReadDir(cfg.CacheDir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	})
	t.Run("not when there is no such build", func(t *testing.T) {
		_, err := cfg.fetch(t.Context(), who, 99)
		require.ErrorContains(t, err, "no build of PostgreSQL 99")
	})
}

func TestFetchTwiceAtOnce(t *testing.T) {
	repository, _ := startRepository(t, map[string]string{"bin/postgres": fakeProgram, "bin/initdb": fakeProgram, "bin/pg_ctl": "#!/bin/sh\nexit 1\n"})
	cfg, who := fetchConfig(t, repository)
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := cfg.fetch(t.Context(), who, 0)
			results <- err
		}()
	}
	require.NoError(t, errors.Join(<-results, <-results))
}

func TestFetchFails(t *testing.T) {
	t.Run("for programs that do not run here", func(t *testing.T) {
		repository, _ := startRepository(t, map[string]string{"bin/postgres": "no program", "bin/initdb": ""})
		cfg, who := fetchConfig(t, repository)
		_, err := cfg.fetch(t.Context(), who, 0)
		require.ErrorContains(t, err, "do not run here")
	})
	t.Run("for an archive without programs", func(t *testing.T) {
		repository, _ := startRepository(t, map[string]string{"README": ""})
		cfg, who := fetchConfig(t, repository)
		_, err := cfg.fetch(t.Context(), who, 0)
		require.Error(t, err)
	})
	t.Run("without a repository", func(t *testing.T) {
		cfg, who := fetchConfig(t, "http://127.0.0.1:1")
		_, err := cfg.fetch(t.Context(), who, 0)
		require.ErrorContains(t, err, "unable to connect")
	})
}

func tarred(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, content := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zipped(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	file, err := w.Create(name)
	require.NoError(t, err)
	_, err = file.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// xzStored wraps content in the xz format without compressing it: one block of LZMA2
// "uncompressed" chunks, with CRC32 checks.
func xzStored(content []byte) []byte {
	crc := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	padded := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	flags := []byte{0, 1} // check: CRC32

	out := append([]byte{0xFD, '7', 'z', 'X', 'Z', 0}, flags...)
	out = append(out, crc(flags)...)

	header := []byte{2, 0, 0x21, 1, 22, 0, 0, 0} // 12 bytes, one filter: LZMA2, 8 MiB
	block := slices.Concat(header, crc(header))
	for first, rest := true, content; len(rest) > 0; first = false {
		chunk := rest[:min(len(rest), 1<<16)]
		rest = rest[len(chunk):]
		control := byte(2)
		if first {
			control = 1 // resets the dictionary
		}
		block = append(block, control)
		block = binary.BigEndian.AppendUint16(block, uint16(len(chunk)-1))
		block = append(block, chunk...)
	}
	block = append(block, 0)
	unpadded := len(block) + 4
	block = append(padded(block), crc(content)...)

	index := binary.AppendUvarint([]byte{0, 1}, uint64(unpadded))
	index = padded(binary.AppendUvarint(index, uint64(len(content))))
	index = append(index, crc(index)...)

	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	footer = append(append(crc(footer), footer...), 'Y', 'Z')
	return append(append(append(out, block...), index...), footer...)
}
