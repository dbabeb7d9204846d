//go:build !unix

package keyvalue

// exchange is a command on its way to the server. Here it is sent at once.
type exchange struct{ out []byte }

func (x *exchange) hold([]byte) bool { return false }

func (c *conn) readAnswer(p []byte) (int, error) { return c.Conn.Read(p) }

func (c *conn) flush() error { return nil }
