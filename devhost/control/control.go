// Package control lets other processes of the same user steer a running host, such
// as waxo dev.
//
// The host serves requests by name, JSON in and JSON out, over HTTP on 127.0.0.1,
// to who knows a random token. Where it listens and the token stand in one file,
// which only the user can read and which is gone when the host has ended. What was
// left behind by one that was killed is recognised: nobody listens there, or
// somebody who does not know the token's answer.
//
// Browsers are kept out twice: they know no token, and a request for another host
// than the very address, as rebinding a name would bring about, is refused.
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileName is the file, in the folder that Serve and Dial are given, that says
// where a host listens.
const FileName = "control.json"

// prefix leads the paths of requests.
const prefix = "/v1/"

// pingRequest is the request that every server answers.
const pingRequest = "ping"

// maxMessage bounds requests and answers, in bytes. The largest bodies that hosts
// take without being told otherwise fit, in base64.
const maxMessage = 64 << 20

// announcement is what the file holds.
type announcement struct {
	Address string `json:"address"` // host:port
	Token   string `json:"token"`
	PID     int    `json:"pid"`
}

// ErrNotRunning is what the error of Dial matches where no host runs.
var ErrNotRunning = errors.New("no waxo dev runs here")

// Error is what a host answers that will not or cannot do what it was asked for.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

// RunningError is the error of Serve where another host serves the folder.
type RunningError struct{ PID int }

func (e *RunningError) Error() string {
	return fmt.Sprintf("process %d serves this project already: stop it first", e.PID)
}

// readAnnouncement reads what a host left; its error matches ErrNotRunning where
// that is nothing.
func readAnnouncement(dir string) (announcement, error) {
	path := filepath.Join(dir, FileName)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return announcement{}, notRunning("there is no " + path)
	case err != nil:
		return announcement{}, fmt.Errorf("control: %w", err)
	}
	var a announcement
	if json.Unmarshal(data, &a) != nil || a.Address == "" || a.Token == "" {
		return announcement{}, notRunning(path + " is damaged")
	}
	return a, nil
}

func notRunning(why string) error {
	return fmt.Errorf("%w (%s): start it in the project's folder, and leave it running", ErrNotRunning, why)
}

// announce writes the file, all or nothing.
func announce(dir string, a announcement) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+FileName+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, FileName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// withdraw removes the file if it is still the one with this token.
func withdraw(dir, token string) error {
	if a, err := readAnnouncement(dir); err != nil || a.Token != token {
		return nil
	}
	return os.Remove(filepath.Join(dir, FileName))
}
