package relay

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"
)

// towardsParticipant makes the server's candidates the relay's. Nil means that a message is not passed on.
func (r *Relay) towardsParticipant(message []byte) []byte {
	var response livekit.SignalResponse
	if proto.Unmarshal(message, &response) != nil {
		return message
	}

	switch m := response.Message.(type) {
	case *livekit.SignalResponse_Offer:
		m.Offer.Sdp = withoutCandidates(m.Offer.Sdp)
	case *livekit.SignalResponse_Answer:
		m.Answer.Sdp = withoutCandidates(m.Answer.Sdp)
	case *livekit.SignalResponse_Trickle:
		candidate, ok := r.redirect(m.Trickle.CandidateInit)
		if !ok {
			return nil
		}
		m.Trickle.CandidateInit = candidate
	default:
		return message
	}

	return encode(&response, message)
}

// towardsServer keeps the participant's candidates from the server: it learns of the relay's address by its packets.
func towardsServer(message []byte) []byte {
	var request livekit.SignalRequest
	if proto.Unmarshal(message, &request) != nil {
		return message
	}

	switch m := request.Message.(type) {
	case *livekit.SignalRequest_Offer:
		m.Offer.Sdp = withoutCandidates(m.Offer.Sdp)
	case *livekit.SignalRequest_Answer:
		m.Answer.Sdp = withoutCandidates(m.Answer.Sdp)
	case *livekit.SignalRequest_Trickle:
		return nil
	default:
		return message
	}

	return encode(&request, message)
}

func encode(changed proto.Message, otherwise []byte) []byte {
	message, err := proto.Marshal(changed)
	if err != nil {
		return otherwise
	}
	return message
}

// redirect puts the relay's port into a UDP candidate (RFC 8839 section 5.1: foundation, component, transport,
// priority, address, port …), and notes the server's. Other candidates would lead around the relay.
func (r *Relay) redirect(init string) (changed string, ok bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(init), &fields) != nil {
		return "", false
	}

	candidate, _ := fields["candidate"].(string)
	words := strings.Fields(candidate)
	if len(words) < 6 || !strings.EqualFold(words[2], "udp") {
		return "", false
	}

	port, err := strconv.Atoi(words[5])
	if err != nil || net.ParseIP(words[4]).To4() == nil {
		return "", false
	}

	r.mu.Lock()
	r.target = &net.UDPAddr{IP: net.ParseIP(words[4]), Port: port}
	r.mu.Unlock()
	words[4], words[5] = "127.0.0.1", fmt.Sprint(r.udp.LocalAddr().(*net.UDPAddr).Port)
	fields["candidate"] = strings.Join(words, " ")
	encoded, err := json.Marshal(fields)
	return string(encoded), err == nil
}
