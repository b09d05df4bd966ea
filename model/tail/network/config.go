package network

import (
	"fmt"

	"foresail.dev/ml/nn"
)

// Config is the shape of a network.
type Config struct {
	Services, Past, Channels, Percentiles int
	Inputs                                int // what is proposed for a service: 1, its cores, as published; 0: 1
	Convs                                 []Conv
	System, Latency                       int // what comes of the convolutions, and of the latencies
	Joint                                 int // the two layers over both
	Next                                  int // the two layers over the proposed cores
	Last                                  int // the layer over the features
}

// Conv is a convolution over services and seconds, in this order.
type Conv struct {
	Kernel, Stride, Pad [2]int
	Filters             int
}

// Least is the most services that the smaller network is built for: halfway between the 17 and the 28 that were published.
const Least = 22

// For is the rule for any application: up to Least services the network of the hotel reservation, else that of the social
// network, in which the services alone change the size of the image and of the first layer over the proposed cores.
func For(services, past, channels, percentiles int) Config {
	if services <= Least {
		return Hotel(services, past, channels, percentiles)
	}
	return Social(services, past, channels, percentiles)
}

// Social is the network that was published for a social network of 28 services.
func Social(services, past, channels, percentiles int) Config {
	return Config{Services: services, Past: past, Channels: channels, Percentiles: percentiles,
		Convs: []Conv{
			{Kernel: [2]int{1, 1}, Stride: [2]int{1, 1}, Filters: 16},
			{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [2]int{2, 2}, Filters: 16},
			{Kernel: [2]int{4, 3}, Stride: [2]int{2, 1}, Pad: [2]int{1, 1}, Filters: 16},
			{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [2]int{1, 1}, Filters: 16},
			{Kernel: [2]int{3, 3}, Stride: [2]int{2, 1}, Pad: [2]int{1, 1}, Filters: 32},
			{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [2]int{1, 1}, Filters: 32},
		}, System: 32, Latency: 32, Joint: 32, Next: 32, Last: 64}
}

// Hotel is the network that was published for a hotel reservation of 17 services.
func Hotel(services, past, channels, percentiles int) Config {
	return Config{Services: services, Past: past, Channels: channels, Percentiles: percentiles,
		Convs: []Conv{
			{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [2]int{2, 2}, Filters: 16},
			{Kernel: [2]int{3, 3}, Stride: [2]int{2, 1}, Pad: [2]int{0, 1}, Filters: 16},
			{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [2]int{1, 1}, Filters: 16},
			{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [2]int{1, 1}, Filters: 32},
		}, System: 32, Latency: 16, Joint: 16, Next: 16, Last: 32}
}

// inputs is how many numbers are proposed.
func (c *Config) inputs() int { return c.Services * max(c.Inputs, 1) }

// Features is how many numbers the boosted trees get: those of the proposed cores, then those of the history.
func (c *Config) Features() int { return c.Next + c.Joint }

// shapes are those of the convolutions, each on what the one before leaves.
func (c *Config) shapes() ([]nn.ConvShape, error) {
	h, w, channels := c.Services, c.Past, c.Channels
	var out []nn.ConvShape
	for i, v := range c.Convs {
		s := nn.ConvShape{H: h, W: w, C: channels, Filters: v.Filters, KernelH: v.Kernel[0], KernelW: v.Kernel[1], StrideH: v.Stride[0], StrideW: v.Stride[1],
			Top: v.Pad[0], Bottom: v.Pad[0], Left: v.Pad[1], Right: v.Pad[1]}
		if s.H+2*v.Pad[0] < s.KernelH || s.W+2*v.Pad[1] < s.KernelW {
			return nil, fmt.Errorf("convolution %d has a kernel of %d × %d, larger than what is left of %d services and %d seconds", i+1, s.KernelH, s.KernelW, c.Services, c.Past)
		}
		h, w = s.Out()
		channels = v.Filters
		out = append(out, s)
	}
	return out, nil
}

// Check tells what is wrong with a shape.
func (c *Config) Check() error {
	for _, n := range []int{c.Services, c.Past, c.Channels, c.Percentiles, len(c.Convs), c.System, c.Latency, c.Joint, c.Next, c.Last} {
		if n < 1 || n > 1<<16 {
			return fmt.Errorf("a network's sizes must be from 1 to %d, one is %d", 1<<16, n)
		}
	}
	for _, v := range c.Convs {
		for k := range 2 {
			if v.Kernel[k] < 1 || v.Stride[k] < 1 || v.Pad[k] < 0 || v.Kernel[k] > 64 || v.Stride[k] > 64 || v.Pad[k] > 64 || v.Filters < 1 || v.Filters > 1024 {
				return fmt.Errorf("a convolution of kernel %v, stride %v, padding %v and %d filters can't be", v.Kernel, v.Stride, v.Pad, v.Filters)
			}
		}
	}
	if c.Inputs < 0 || c.Inputs > 16 {
		return fmt.Errorf("%d numbers proposed for a service: 1 to 16 can be", c.Inputs)
	}
	_, err := c.shapes()
	return err
}
