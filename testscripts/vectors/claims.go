package vectors

// Results of claims/keys.json and claims/verify.json. A refusal's result is its
// reason, one of the codes that README.md lists.
const (
	ResultOK      = "ok"
	ResultInvalid = "invalid"
)

// Key is a vector of claims/keys.json.
type Key struct {
	Vector
	Text      string `json:"text"`   // a public key or a seed
	Result    string `json:"result"` // ok or invalid
	Kind      string `json:"kind,omitempty"`
	Public    string `json:"public,omitempty"` // of a seed
	Message   string `json:"message,omitempty"`
	Signature string `json:"signature,omitempty"` // of the message by the seed, hex
}

// Claims are those of a token as they are to be written, or were read.
type Claims struct {
	Form         string            `json:"form,omitempty"` // of what was read: nested or flat
	ID           string            `json:"id,omitempty"`
	Issuer       string            `json:"issuer,omitempty"` // of what was read
	Subject      string            `json:"subject"`
	IssuedAt     int64             `json:"issued_at"`
	NotBefore    *int64            `json:"not_before,omitempty"`
	Expires      *int64            `json:"expires,omitempty"`
	Name         string            `json:"name,omitempty"`
	Hash         string            `json:"hash,omitempty"` // of what was read
	Capabilities []string          `json:"capabilities,omitempty"`
	Tags         []string          `json:"tags,omitempty"`
	Revision     int               `json:"revision,omitempty"`
	Version      string            `json:"version,omitempty"`
	CallAlias    string            `json:"call_alias,omitempty"`
	Provider     bool              `json:"provider,omitempty"`
	CapabilityID string            `json:"capability_id,omitempty"`
	Vendor       string            `json:"vendor,omitempty"`
	TargetHashes map[string]string `json:"target_hashes,omitempty"`
	ValidSigners []string          `json:"valid_signers,omitempty"`
	Format       int               `json:"wascap_revision,omitempty"`
}

// Sign is a vector of claims/sign.json.
type Sign struct {
	Vector
	Seed    string `json:"issuer_seed"`
	Claims  Claims `json:"claims"`
	Module  string `json:"module"`  // hex
	Payload string `json:"payload"` // of the token, as JSON
	Signed  string `json:"signed"`  // the module with its claims, hex
}

// Verify is a vector of claims/verify.json: a module; or the token of an account or
// an operator; or the token of a provider, with a file.
type Verify struct {
	Vector
	Module string  `json:"module,omitempty"` // hex
	Token  string  `json:"token,omitempty"`
	Target string  `json:"target,omitempty"` // the platform of the provider's file
	File   string  `json:"file,omitempty"`   // the provider's file, hex
	At     int64   `json:"at"`
	Result string  `json:"result"`
	Claims *Claims `json:"claims,omitempty"` // where the result is ok
}

// Real is a vector of claims/real.json: the token of a module that the original
// tools signed. The module is not there, so its hash is not checked.
type Real struct {
	Vector
	Section string `json:"section"`
	Token   string `json:"token"`
	Claims  Claims `json:"claims"`
}
