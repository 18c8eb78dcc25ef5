// SPDX-License-Identifier: Apache-2.0
// A library that is made of other libraries needs a source of its own.
